"""Whether labels fit their pages. Outlines that do not are of relative coordinates, of the picture
as its camera stored it, of x and y in the wrong order, or of another page, and whoever trains on
them waits for a model that finds nothing.

Two kinds of evidence: outlines that leave the page, where it is certain, and what the pixels show,
where it is likely. Text has edges; so the labelled places have more of them than the rest of a
page, and less where the labels belong elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from detector.data.images import MAX_PIXELS, read_image
from detector.data.page import Page, TextBox, taken_evenly
from detector.data.problem import Problem
from detector.errors import DataError
from detector.wording import counted

SAMPLED = 24
"""Pages that are looked at. Their labels were made in one way, and hundreds would say no more."""

_FEWEST_PAGES = 4
_FEWEST_BOXES = 3
_STRAYS = 2
_SIDE = 512
"""The longest side that a page is scaled to: lines of text still have edges."""
_BETTER = 1.3
"""How many times the edges another reading of the labels has to have, to be called better."""
_MOST = 0.75
"""The share of the pages on which it has to be."""
_OF_TEXT = 2.0
"""Times as many edges as elsewhere that are text: on real and drawn receipts and forms it is 5 to 9
for their own labels, and 1.1 to 1.5 for those of other pages."""
_OTHERS = 4
_DARK = 1e-3
_THINNEST = 2.0
"""Pixels; for a long box it is its height."""
_LONG = 1.5
_FEWEST_QUADS = 10
_NEARLY_ALL = 0.9

Points = NDArray[np.float64]
Reading = Callable[[Points, tuple[int, int]], Points]
"""Where (N, 2) points would lie on a page of so many pixels in width and height, if they meant
something else."""


def _turned_right(points: Points, size: tuple[int, int]) -> Points:
    return np.column_stack([points[:, 1], size[1] - points[:, 0]])


def _turned_left(points: Points, size: tuple[int, int]) -> Points:
    return np.column_stack([size[0] - points[:, 1], points[:, 0]])


READINGS: Mapping[str, Reading] = {
    "x and y are swapped": lambda points, _: points[:, ::-1],
    "the labels are of the page turned by 90° to the right": _turned_right,
    "the labels are of the page turned by 90° to the left": _turned_left,
    "the labels are of the page turned upside down": lambda points, size: np.array(size) - points,
    "the labels are of the page at half its size": lambda points, _: points * 2,
    "the labels are of the page at twice its size": lambda points, _: points / 2,
    "coordinates run from 0 to 1000": lambda points, size: points * np.array(size) / 1000,
    "coordinates are percentages": lambda points, size: points * np.array(size) / 100,
}


def certain_misfit(
    boxes: Sequence[TextBox], size: tuple[float, float], is_turned: Callable[[], bool]
) -> str | None:
    """What is wrong with the outlines of a page as a whole, by where they lie; None where nothing
    is, or only with some of them.

    Args:
        boxes: of one page.
        size: width and height of the upright image; infinite where it is not known.
        is_turned: whether the image is stored in another direction, which its EXIF data says.
    """
    if len(boxes) < _FEWEST_BOXES or not np.isfinite(size[0]):
        return None
    corners = np.array([(*box.points.min(axis=0), *box.points.max(axis=0)) for box in boxes])
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    if high.max() <= 1 and low.min() >= 0:
        return (
            f"no outline of {len(boxes)} is larger than one pixel: coordinates from 0 to 1, where "
            "pixels are expected"
        )
    width, height = size
    if (corners[:, 0] >= width).all() or (corners[:, 1] >= height).all() or (high <= 0).any():
        return (
            f"no outline of {len(boxes)} lies in the picture, {width:g}x{height:g}: the labels "
            "are of another page, or of this one at another scale"
        )
    leaving = (corners[:, 2] > width) | (corners[:, 3] > height)
    outside = (corners[:, 0] >= width) | (corners[:, 1] >= height)
    fits_sideways = low.min() >= 0 and high[0] <= height and high[1] <= width
    # One stray outline is a mistake of its own, and a border is reached over with fitting labels.
    if not outside.any() or leaving.sum() < _STRAYS or not fits_sideways:
        return None
    if is_turned():
        return (
            f"the outlines fit the picture as it is stored, {height:g}x{width:g}, and not upright, "
            f"{width:g}x{height:g}: they were drawn without its EXIF orientation"
        )
    return f"the outlines leave the picture, {width:g}x{height:g}, and fit it with x and y swapped"


def no_text_at_all(pages: Sequence[Page]) -> list[Problem]:
    """That there is nothing to train on, where that is so."""
    if not pages or any(not box.ignore for page in pages for box in page.boxes):
        return []
    boxes = sum(len(page.boxes) for page in pages)
    what = f"no box of {boxes} is text: all are don't care" if boxes else "no page has a box"
    return [Problem("warning", ".", f"{what}: there is no text to train on or to score")]


def odd_outlines(pages: Sequence[Page]) -> list[Problem]:
    """What is odd about the outlines of a whole data set, whatever its pages show."""
    boxes = [box for page in pages for box in page.boxes if not box.ignore]
    if not boxes:
        return []
    reasons = [_too_thin(boxes), _other_first_corner(boxes)]
    return [Problem("warning", ".", reason) for reason in reasons if reason]


def _too_thin(boxes: Sequence[TextBox]) -> str | None:
    polygons = shapely.polygons([shapely.LinearRing(box.points) for box in boxes])
    thickness = 2 * shapely.area(polygons) / shapely.length(polygons)
    count = int((thickness < _THINNEST).sum())
    if not count:
        return None
    few = f"{counted(count, 'box')} of {len(boxes)}"
    return f"{few} are less than {_THINNEST:g} pixels thick: too small for text to be learned from"


def _other_first_corner(boxes: Sequence[TextBox]) -> str | None:
    """Whether most quads begin at another corner than the top left of a text that reads from left
    to right: CLEval splits a text along its outline's first edge."""
    quads = np.array([box.points for box in boxes if len(box.points) == 4])
    if not len(quads):
        return None
    edges = np.roll(quads, -1, axis=1) - quads
    lengths = np.linalg.norm(edges[:, :2], axis=2)
    # Of single characters no edge tells where the text goes.
    is_long = lengths.max(axis=1) > _LONG * lengths.min(axis=1)
    first = edges[is_long, 0]
    if len(first) < _FEWEST_QUADS:
        return None
    directions = {
        "from top to bottom": np.abs(first[:, 1]) > np.abs(first[:, 0]),
        "from right to left": first[:, 0] < -np.abs(first[:, 1]),
    }
    for name, is_so in directions.items():
        if is_so.mean() > _NEARLY_ALL:
            return (
                f"{is_so.sum()} of {len(first)} long outlines begin at a corner from which their "
                f"text runs {name}: an outline has to begin at its text's own top left"
            )
    return None


def require_text(pages: Sequence[Page], purpose: str) -> None:
    """Refuse pages that nothing can be learned from.

    Args:
        purpose: what they are for, in an error's words: "training".

    Raises:
        DataError: none of them has text that is not marked as don't care.
    """
    if not any(not box.ignore for page in pages for box in page.boxes):
        raise DataError(
            f"no {purpose} page has text that is not marked as don't care",
            remedy="look at the data set with `detsweep data check`",
        )


def likely_misfits(pages: Sequence[Page], max_pixels: int = MAX_PIXELS) -> list[Problem]:
    """What is likely to be wrong with the labels of a whole data set, by the pixels of some pages.

    Args:
        pages: of the data set, sound by all other checks.
        max_pixels: images with more are left out.
    """
    labelled = [page for page in pages if len(page.boxes) >= _FEWEST_BOXES]
    sampled = taken_evenly(labelled, SAMPLED)
    if len(sampled) < _FEWEST_PAGES:
        return []
    with ThreadPoolExecutor() as pool:
        seen = pool.map(partial(_edges_of, max_pixels=max_pixels), sampled)
        pages_seen = [edges for edges in seen if edges is not None]
    if len(pages_seen) < _FEWEST_PAGES:
        return []
    return [Problem("warning", ".", reason) for reason in _reasons(pages_seen)]


@dataclass(frozen=True)
class _Edges:
    """Where a page has edges.

    Attributes:
        page: with its labels.
        strength: (h, w) float32, of a smaller copy of the page.
        size: width and height of the page in pixels.
    """

    page: Page
    strength: NDArray[np.float32]
    size: tuple[int, int]

    def in_favour(self, boxes: Sequence[TextBox], reading: Reading | None = None) -> float:
        """How many times stronger edges are in the boxes than beside them, less what of the boxes
        leaves the page.

        Args:
            reading: of the boxes' points; None for what they say.
        """
        inside = np.zeros(self.strength.shape, bool)
        width, height = self._bounds(np.array([[0.0, 0.0], self.size]))[2:]
        area, on_page = 0, 0
        for box in boxes:
            points = reading(box.points, self.size) if reading else box.points
            left, top, right, bottom = self._bounds(points)
            inside[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
            area += (right - left) * (bottom - top)
            on_page += max(0, min(right, width) - max(left, 0)) * max(
                0, min(bottom, height) - max(top, 0)
            )
        if not inside.any() or inside.all():
            return 0.0
        beside = float(self.strength[~inside].mean())
        return on_page / area * float(self.strength[inside].mean()) / max(beside, _DARK)

    def _bounds(self, points: Points) -> tuple[int, int, int, int]:
        scale = np.array(self.strength.shape[::-1]) / np.array(self.size)
        low, high = np.floor(points.min(axis=0) * scale), np.ceil(points.max(axis=0) * scale)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _edges_of(page: Page, max_pixels: int) -> _Edges | None:
    """None for a page that cannot be read, which others say."""
    try:
        image = read_image(page.image, max_pixels)
    except DataError:
        return None
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return _Edges(page, np.asarray(cv2.magnitude(across, down), np.float32), (width, height))


def _reasons(seen: Sequence[_Edges]) -> Iterator[str]:
    """What is likely of all pages together: at most one thing."""
    own = [edges.in_favour(edges.page.boxes) for edges in seen]
    others = {
        name: [edges.in_favour(edges.page.boxes, reading) for edges in seen]
        for name, reading in READINGS.items()
    }
    of_others = _with_labels_of_others(seen)
    others["each page has the labels of the next one"] = of_others[1]
    others["each page has the labels of the one before"] = of_others[-1]
    better = {name: sum(map(_is_better, scores, own)) for name, scores in others.items()}
    name = max(better, key=lambda name: (better[name], median(others[name])))
    if better[name] >= _MOST * len(seen):
        yield (
            f"{name}: on {better[name]} of {len(seen)} pages there are more edges where text would "
            "be then than where it is labelled"
        )
    elif median(own) < _OF_TEXT and not _is_of_its_page(own, of_others):
        yield (
            "the labels are hardly of these pages: there are "
            f"{median(own):.1f} times as many edges where text is labelled as elsewhere, and as "
            f"many where other pages have theirs ({len(seen)} pages looked at)"
        )


def _with_labels_of_others(seen: Sequence[_Edges]) -> dict[int, list[float]]:
    """What each page shows in favour of the labels of another one, by how far that is away; a page
    as far after the last as after the first is the first."""
    count = len(seen)
    return {
        shift: [seen[i].in_favour(seen[(i - shift) % count].page.boxes) for i in range(count)]
        for shift in (-1, *range(1, min(_OTHERS, count - 1) + 1))
    }


def _is_of_its_page(own: Sequence[float], of_others: Mapping[int, Sequence[float]]) -> bool:
    """Whether the labels of a page fit it better than those of others do."""
    usual = [median(scores) for scores in zip(*of_others.values(), strict=True)]
    gains = [mine / max(theirs, _DARK) for mine, theirs in zip(own, usual, strict=True)]
    return bool(median(gains) > _BETTER)


def _is_better(other: float, own: float) -> bool:
    return other > max(_BETTER * own, 1.0)
