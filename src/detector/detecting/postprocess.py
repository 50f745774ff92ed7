"""From DBNet's probability map to outlines of text. Knows nothing of models or files.

The steps of Liao et al. 2020, "Real-time Scene Text Detection with Differentiable Binarization"
(arXiv 1911.08947, section 3.6): binarise, take the outline of each connected region, score it by
the mean probability inside, and expand it by D = area * unclip_ratio / perimeter, which undoes the
shrinking that the network was trained on. Rounding, corner order and the meaning of `min_size` are
PaddleOCR's, so that thresholds tuned there mean the same here, with these differences:

- The outline of a hole is never text. Text inside a hole (of a stamp's ring, say) is.
- All regions are decoded. `max_candidates` is off unless given, and then keeps those of best score;
  elsewhere it drops what is found last (100 of a receipt's 150 words in the official DBNet).
- An outline that expands to several pieces keeps the largest; elsewhere it is lost.
- Polygons are simplified by a pixel at least: smaller steps are the map's and not the text's. It
  halves their points, and brings them nearer to the text that the map was drawn from.
- Results are not rounded to whole pixels.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.compiled import COMPILED, kernel
from detector.errors import ModelError
from detector.geometry.offset import Offset

# How far a simplified polygon may be from its contour: a share of the perimeter, or pixels if more.
_SIMPLIFY = 0.002
_SIMPLIFY_PIXELS = 1.0


@dataclass(frozen=True)
class Outline:
    """One piece of text that was found.

    Attributes:
        points: (V, 2) float32, x and y in pixels of the image; a quad has 4, clockwise from the top
            left.
        score: mean probability inside, from 0 to 1.
    """

    points: NDArray[np.float32]
    score: float


@dataclass(frozen=True)
class Detections:
    """The text found on one image: a sequence of outlines, kept as arrays.

    Attributes:
        polygons: (V, 2) float32 outlines, x and y in pixels; quads are (4, 2), clockwise from the
            top left.
        scores: (N,) float32 mean probability of each, in [0, 1].

    >>> quad = np.array([[0, 0], [9, 0], [9, 4], [0, 4]], np.float32)
    >>> [outline.score for outline in Detections([quad], np.array([0.5], np.float32))]
    [0.5]
    """

    polygons: list[NDArray[np.float32]]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.polygons)

    def __getitem__(self, i: int) -> Outline:
        return Outline(self.polygons[i], float(self.scores[i]))

    def __iter__(self) -> Iterator[Outline]:
        return (self[i] for i in range(len(self)))


def decode(
    probability: NDArray[np.float32],
    *,
    thresh: float = 0.3,
    box_thresh: float = 0.5,
    unclip_ratio: float = 1.5,
    min_size: float = 3,
    max_candidates: int | None = None,
    polygons: bool = False,
) -> Detections:
    """Find the text in a probability map.

    Args:
        probability: (H, W) float32 map of shrunken text, in [0, 1].
        thresh: a pixel above this is text.
        box_thresh: least mean probability of a detection.
        unclip_ratio: how far outlines are expanded; 1.5 undoes a shrink ratio of 0.4.
        min_size: least shorter side of a region, in pixels; of a detection, 2 more.
        max_candidates: keep this many detections, those of the highest scores; None keeps all.
        polygons: outline the text by polygons of any number of points instead of quads.

    Returns:
        Detections in the map's pixels, within the map.

    >>> heat = np.zeros((64, 96), np.float32)
    >>> heat[20:31, 10:71] = 0.9
    >>> found = decode(heat)
    >>> found.polygons[0].astype(int).tolist(), found.scores.round(2).tolist()
    ([[4, 14], [76, 14], [76, 36], [4, 36]], [0.8999999761581421])
    """
    regions = find_regions(probability, thresh=thresh, min_size=min_size, polygons=polygons)
    return regions.expanded(box_thresh, unclip_ratio, max_candidates)


@dataclass(frozen=True)
class Regions:
    """What of a map is above a threshold: outlines that are not expanded yet.

    Attributes:
        outlines: (V, 2) of each, in the map's pixels: float32 quads, clockwise from the top left,
            or int32 polygons.
        scores: (N,) float32 mean probability inside.
        min_size: see `decode`.
        size: width and height of the map.
        are_quads: of what kind the outlines are.
    """

    outlines: Sequence[NDArray[Any]]
    scores: NDArray[np.float32]
    min_size: float
    size: tuple[int, int]
    are_quads: bool

    def expanded(
        self, box_thresh: float, unclip_ratio: float, max_candidates: int | None = None
    ) -> Detections:
        """The text: what is certain enough, expanded, within the map. For the arguments see
        `decode`."""
        certain = np.flatnonzero(self.scores >= box_thresh).tolist()
        expanded = [_unclip(self.outlines[i], unclip_ratio) for i in certain]
        rectangles = [cv2.minAreaRect(outline) for outline in expanded]
        large = [k for k, (_, size, _) in enumerate(rectangles) if min(size) >= self.min_size + 2]
        scores = self.scores[[certain[k] for k in large]]
        if max_candidates is not None:
            best = np.sort(np.argsort(-scores, kind="stable")[:max_candidates])
            large, scores = [large[i] for i in best], scores[best]
        if self.are_quads:
            outlines = list(_ordered_corners([rectangles[k] for k in large]))
        else:
            outlines = [expanded[k].astype(np.float32) for k in large]
        return rescale(Detections(outlines, scores), 1, 1, *self.size)


def find_regions(
    probability: NDArray[np.float32], *, thresh: float, min_size: float, polygons: bool
) -> Regions:
    """The first half of `decode`, whose arguments these are: what depends neither on `box_thresh`
    nor on `unclip_ratio`.

    Raises:
        ModelError: the map holds a number that is not finite, which is no page without text.
    """
    heat = np.ascontiguousarray(probability, dtype=np.float32)
    if not math.isfinite(float(heat.sum(dtype=np.float64))):
        raise ModelError(
            "a probability map holds numbers that are not finite",
            remedy="the model is damaged, or its training went wrong: train it again",
        )
    contours = _outer_contours(heat, thresh)
    outlines, scores = _polygons(heat, contours) if polygons else _quads(heat, contours, min_size)
    return Regions(outlines, scores, min_size, heat.shape[::-1], are_quads=not polygons)


def rescale(detections: Detections, sx: float, sy: float, width: int, height: int) -> Detections:
    """Detections on another size of the same image.

    Args:
        detections: what was found.
        sx: factor for x: the image's width over the map's (before any padding).
        sy: factor for y.
        width: of the image; outlines are clipped to 0..width and 0..height.
        height: of the image.

    >>> quad = np.array([[1, 1], [5, 1], [5, 3], [1, 3]], np.float32)
    >>> rescale(Detections([quad], np.ones(1, np.float32)), 2, 2, 8, 8).polygons[0].tolist()
    [[2.0, 2.0], [8.0, 2.0], [8.0, 6.0], [2.0, 6.0]]
    """
    if not detections.polygons:
        return detections
    points = np.concatenate(detections.polygons) * np.array([sx, sy], dtype=np.float32)
    np.clip(points, 0, np.array([width, height], dtype=np.float32), out=points)
    ends = accumulate(len(polygon) for polygon in detections.polygons)
    parts = [points[start:end] for start, end in pairwise([0, *ends])]
    return Detections(parts, detections.scores)


def _outer_contours(heat: NDArray[np.float32], thresh: float) -> list[cv2.typing.MatLike]:
    """The outer boundary (V, 1, 2) of each connected region above the threshold."""
    binary = (heat > thresh).view(np.uint8)
    contours, hierarchy = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return []
    parents = hierarchy[0, :, 3]
    # A contour of one or two points has no area.
    return [
        contour
        for contour, parent in zip(contours, parents, strict=True)
        if parent < 0 and len(contour) > 2
    ]


# --- Quads --------------------------------------------------------------------------------------


def _quads(
    heat: NDArray[np.float32], contours: Sequence[cv2.typing.MatLike], min_size: float
) -> tuple[Sequence[NDArray[np.float32]], NDArray[np.float32]]:
    """The minimum-area rectangle of each contour, with its score."""
    rectangles = [cv2.minAreaRect(contour) for contour in contours]
    quads = _ordered_corners([r for r in rectangles if min(r[1]) >= min_size])
    return list(quads), _mean_in_outlines(heat, quads)


def _ordered_corners(rectangles: Sequence[cv2.typing.RotatedRect]) -> NDArray[np.float32]:
    """Corners (N, 4, 2) of rectangles, clockwise from the top left.

    The two left-most corners are the left side, at any angle of the rectangle.
    """
    corners = np.array([cv2.boxPoints(rectangle) for rectangle in rectangles], dtype=np.float32)
    corners = corners.reshape(-1, 4, 2)
    by_x = np.take_along_axis(corners, corners[..., 0].argsort(axis=1, kind="stable")[..., None], 1)
    top_left, bottom_left = _upper_first(by_x[:, 0], by_x[:, 1])
    top_right, bottom_right = _upper_first(by_x[:, 2], by_x[:, 3])
    return np.stack([top_left, top_right, bottom_right, bottom_left], axis=1)


def _upper_first(
    one: NDArray[np.float32], other: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    swap = (other[:, 1] <= one[:, 1])[:, None]
    return np.where(swap, other, one), np.where(swap, one, other)


def _mean_in_outlines(heat: NDArray[np.float32], quads: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the map in each quad (N, 4, 2)."""
    far = np.array(heat.shape[::-1], dtype=np.float32) - 1
    within = COMPILED & ((quads >= 0) & (quads <= far)).all(axis=(1, 2))
    means = np.empty(len(quads), dtype=np.float32)
    means[within] = _mean_in_quads(heat, quads[within])
    means[~within] = [_mean_in_polygon(heat, quad) for quad in quads[~within]]
    return means


@kernel()
def _mean_in_quads(heat: NDArray[np.float32], quads: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `_mean_in_polygon` gives for convex quads (N, 4, 2) within the map, without a mask.

    Where lines are not clipped, the pixels that OpenCV fills in a row are those between its lines'
    outermost. Filling a mask per quad costs several times what summing does.
    """
    means = np.empty(len(quads), np.float32)
    first = np.empty(len(heat), np.int64)
    last = np.empty(len(heat), np.int64)
    corners = np.empty((4, 2), np.int64)
    for k in range(len(quads)):
        # Number by number: what assigns whole arrays takes numba seconds to compile.
        top, bottom = len(heat), -1
        for i in range(4):
            corners[i, 0] = np.int64(quads[k, i, 0])
            corners[i, 1] = np.int64(quads[k, i, 1])
            top = min(top, corners[i, 1])
            bottom = max(bottom, corners[i, 1])
        for y in range(top, bottom + 1):
            first[y] = heat.shape[1]
            last[y] = -1
        for i in range(4):
            _trace(corners[i], corners[(i + 1) % 4], first, last)
        total = 0.0
        pixels = 0
        for y in range(top, bottom + 1):
            for x in range(first[y], last[y] + 1):
                total += float(heat[y, x])
            pixels += last[y] + 1 - first[y]
        means[k] = total / pixels
    return means


@kernel()
def _trace(
    p: NDArray[np.int64],
    q: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> None:
    """Widen each row's span (first to last) by the pixels of a line (Bresenham 1965)."""
    if q[0] < p[0]:
        p, q = q, p
    x, y = p[0], p[1]
    dx, dy = q[0] - x, abs(q[1] - y)
    step_y = 1 if q[1] > y else -1
    steep = dy > dx
    major, minor = (dy, dx) if steep else (dx, dy)
    error = major - 2 * minor
    for _ in range(major + 1):
        first[y] = min(first[y], x)
        last[y] = max(last[y], x)
        sideways = error < 0
        error += 2 * (major if sideways else 0) - 2 * minor
        if steep or sideways:
            y += step_y
        if not steep or sideways:
            x += 1


# --- Polygons -----------------------------------------------------------------------------------


def _polygons(
    heat: NDArray[np.float32], contours: Sequence[cv2.typing.MatLike]
) -> tuple[Sequence[NDArray[np.int32]], NDArray[np.float32]]:
    """Each contour simplified, with its score."""
    outlines = []
    for contour in contours:
        epsilon = max(_SIMPLIFY_PIXELS, _SIMPLIFY * cv2.arcLength(contour, True))
        outline = cv2.approxPolyDP(contour, epsilon, True)[:, 0].astype(np.int32)
        if len(outline) >= 4:
            outlines.append(outline)
    scores = [_mean_in_polygon(heat, outline) for outline in outlines]
    return outlines, np.array(scores, dtype=np.float32)


# --- Both ---------------------------------------------------------------------------------------


def _mean_in_polygon(
    heat: NDArray[np.float32], outline: NDArray[np.float32] | NDArray[np.int32]
) -> float:
    """Mean of the map in an outline (V, 2), truncated to whole pixels."""
    x, y, width, height = cv2.boundingRect(outline)
    left, top = max(0, x), max(0, y)
    part = heat[top : y + height, left : x + width]
    mask = np.zeros(part.shape, dtype=np.uint8)
    cv2.fillPoly(mask, [outline.astype(np.int32)], 1, offset=(-left, -top))
    return float(cv2.mean(part, mask)[0])


def _unclip(
    outline: NDArray[np.float32] | NDArray[np.int32], unclip_ratio: float
) -> NDArray[np.int32]:
    """The outline (V, 2) expanded, in whole pixels: the largest piece if there are several.

    An outline without area stays as it is.
    """
    pieces = Offset(outline).paths(unclip_ratio)
    if len(pieces) == 1:
        return pieces[0]
    return max(pieces, key=cv2.contourArea, default=outline.astype(np.int32))
