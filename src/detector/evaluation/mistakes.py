"""What a detector does wrong on a page, by kind: words missed, split and merged, and false finds.

For a person who decides what to label next; nothing is scored here. The kinds follow CLEval's
thinking with areas in the place of characters: a prediction belongs to a word if enough of it lies
there, even if the two outlines as a whole overlap very little.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from detector.data.images import read_image
from detector.data.page import Page, TextBox
from detector.detecting.inference import Detect
from detector.evaluation.cleval.counts import CLEvalCounts
from detector.evaluation.cleval.evaluate import evaluate_page
from detector.evaluation.ratios import share
from detector.geometry.outlines import meetings, regions

_OWN = 0.3
"""A prediction is for a word if this share of it lies on the word, as CLEval's area precision."""
_HALF = 0.5
_LONG = 4.0
"""An outline that is this many times as long as high runs along its longer side."""


@dataclass(frozen=True)
class Mistakes:
    """The mistakes on one page, by index.

    Attributes:
        missed: words that are covered by less than half.
        split: words that two or more predictions cover in parts.
        merged: predictions that cover most of two or more words.
        false: predictions that lie on no text, not even on don't-cares.
    """

    missed: tuple[int, ...]
    split: tuple[int, ...]
    merged: tuple[int, ...]
    false: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.missed) + len(self.split) + len(self.merged) + len(self.false)


@dataclass(frozen=True)
class PageMistakes:
    """A page, what was found on it, and what is wrong with that."""

    page: Page
    predictions: Sequence[NDArray[Any]]
    mistakes: Mistakes


@dataclass(frozen=True)
class TextKind:
    """How a detector fares with one kind of text.

    Attributes:
        label: "18 to 24 px high".
        words, found: cared-for words of this kind, and those that were not missed.
        predictions, true: predictions of this kind, and those that were not false.
    """

    label: str
    words: int
    found: int
    predictions: int
    true: int

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row of a table: the label, words and how many are found, finds and how many are true.

        >>> TextKind("18 to 24 px high", 8, 6, 0, 0).cells
        ('18 to 24 px high', '8', '75.0 %', '0', '-')
        """
        found, true = _percent(self.found, self.words), _percent(self.true, self.predictions)
        return self.label, str(self.words), found, str(self.predictions), true


def find_mistakes(truth: Sequence[TextBox], predictions: Sequence[NDArray[Any]]) -> Mistakes:
    """Compare predictions with a page's text.

    Args:
        truth: the page's boxes, don't-cares included.
        predictions: (V, 2) outlines in the same pixels, V >= 3.

    >>> word = np.array([[0, 0], [80, 0], [80, 20], [0, 20]])
    >>> find_mistakes([TextBox(word), TextBox(word + [0, 50])], [word])
    Mistakes(missed=(1,), split=(), merged=(), false=())
    """
    words, found = regions([box.points for box in truth]), regions(predictions)
    cared = np.array([not box.ignore for box in truth], dtype=bool)
    met = meetings(words, found)
    w, p = met.i, met.j
    of_word = share(met.shared, shapely.area(words)[w])
    of_prediction = share(met.shared, shapely.area(found)[p])
    belongs = (of_prediction >= _OWN) | (of_word >= _HALF)

    on_text = np.bincount(p, of_prediction, len(found))
    # Pieces of a word add up, as long as they do not lie on each other.
    covered = np.bincount(w[belongs], of_word[belongs], len(words))
    pieces = np.bincount(w[belongs & (of_prediction >= _HALF)], minlength=len(words))
    whole = np.bincount(p[(of_word >= _HALF) & cared[w]], minlength=len(found))
    missed = cared & (covered < _HALF)
    return Mistakes(
        missed=_indices(missed),
        split=_indices(cared & ~missed & (pieces >= 2)),
        merged=_indices(whole >= 2),
        false=_indices(on_text < _OWN),
    )


def worst_first(pages: Iterable[Page], detect: Detect, max_pixels: int) -> list[PageMistakes]:
    """The mistakes on each page, the page first that costs CLEval most characters.

    Raises:
        DataError: an image cannot be read, or has more than `max_pixels` pixels.
    """
    rows = []
    for page in pages:
        found = detect(read_image(page.image, max_pixels)).polygons
        cost = _lost(evaluate_page(page.boxes, found))
        rows.append((cost, PageMistakes(page, found, find_mistakes(page.boxes, found))))
    rows.sort(key=lambda row: -row[0])
    return [page for _, page in rows]


def as_json(pages: Sequence[PageMistakes]) -> str:
    """The outlines of the mistakes on each page, by kind, for other programs; predictions in
    tenths of a pixel."""
    rows = [
        {
            "page": page.page.name,
            "missed": [page.page.boxes[i].points.tolist() for i in page.mistakes.missed],
            "split": [page.page.boxes[i].points.tolist() for i in page.mistakes.split],
            "merged": [page.predictions[i].round(1).tolist() for i in page.mistakes.merged],
            "false": [page.predictions[i].round(1).tolist() for i in page.mistakes.false],
        }
        for page in pages
    ]
    return json.dumps({"pages": rows}, indent=1, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class MistakeKind:
    """How often a detector makes one kind of mistake.

    Attributes:
        name: "missed".
        count: of the words or finds that it happened to.
        of: how many of them there are.
        among: "words" or "finds".
        page: where it happened most often; None where it did not.
        on_page: how often it did there.
    """

    name: str
    count: int
    of: int
    among: Literal["words", "finds"]
    page: str | None
    on_page: int


def count_kinds(pages: Sequence[PageMistakes]) -> list[MistakeKind]:
    """How often each kind of mistake was made on the pages together."""
    words = sum(len(_cared(page)) for page in pages)
    finds = sum(len(page.predictions) for page in pages)
    rows = []
    for name in ("missed", "split", "merged", "false"):
        counts = [len(getattr(page.mistakes, name)) for page in pages]
        most = max(range(len(pages)), key=counts.__getitem__, default=None)
        happened = most is not None and counts[most] > 0
        among: Literal["words", "finds"] = "words" if name in {"missed", "split"} else "finds"
        rows.append(
            MistakeKind(
                name,
                sum(counts),
                words if among == "words" else finds,
                among,
                pages[most].page.name if happened and most is not None else None,
                counts[most] if happened and most is not None else 0,
            )
        )
    return rows


Measure = Callable[[PageMistakes, Sequence[NDArray[Any]]], NDArray[np.float64]]
"""One number for each outline of a page."""


def by_kind(pages: Sequence[PageMistakes]) -> dict[str, list[TextKind]]:
    """How the detector fares with kinds of text, by the name of what they differ in."""
    return {"height": by_height(pages), "tilt": by_angle(pages), "density": by_density(pages)}


def by_height(pages: Sequence[PageMistakes]) -> list[TextKind]:
    """How the detector fares by quarters of the words' heights, in pixels of the image."""
    return _tally(pages, lambda _, outlines: _boxes(outlines)[:, 0], "{} px high")


def by_angle(pages: Sequence[PageMistakes]) -> list[TextKind]:
    """By the angle between the way that a text runs and the horizontal, 0 to 90 degrees.

    A long outline runs along its longer side. Of one that is not, such as that of a single digit,
    which is higher than wide, it is the side that is nearest to the way of its page's long ones.
    """
    return _tally(pages, _tilts, "tilted {}°", (2, 10, 45))


def _tilts(page: PageMistakes, outlines: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    of_page = _boxes([box.points for box in page.page.boxes])
    long_ones = of_page[of_page[:, 2] >= _LONG, 1]
    # Directions half a turn apart are one, so that they are averaged at twice the angle.
    turns = np.exp(2j * np.deg2rad(long_ones)).sum() if len(long_ones) else 1.0
    usual = np.rad2deg(np.angle(turns)) / 2
    boxes = _boxes(outlines)
    along, across = boxes[:, 1], boxes[:, 1] + 90
    is_short = (boxes[:, 2] < _LONG) & (_between(across, usual) < _between(along, usual))
    return _between(np.where(is_short, across, along), 0.0)


def _between(angles: NDArray[np.float64], other: float) -> NDArray[np.float64]:
    """The angle between directions, in degrees from 0 to 90."""
    return np.abs((angles - other + 90) % 180 - 90)


def by_density(pages: Sequence[PageMistakes]) -> list[TextKind]:
    """By quarters of the number of words on their page."""

    def words(page: PageMistakes, outlines: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        return np.full(len(outlines), float(len(page.page.boxes)))

    return _tally(pages, words, "{} words a page")


def _tally(
    pages: Sequence[PageMistakes], measure: Measure, label: str, edges: Sequence[float] = ()
) -> list[TextKind]:
    """Count words and predictions in the bins between `edges`, or in quarters of the words."""
    words = [_cared(page) for page in pages]
    of_words = [
        measure(page, [page.page.boxes[i].points for i in own])
        for page, own in zip(pages, words, strict=True)
    ]
    found = [~np.isin(own, page.mistakes.missed) for page, own in zip(pages, words, strict=True)]
    of_predictions = [measure(page, page.predictions) for page in pages]
    true = [~np.isin(np.arange(len(page.predictions)), page.mistakes.false) for page in pages]
    values, is_found = _joined(of_words), _joined(found).astype(bool)
    others, is_true = _joined(of_predictions), _joined(true).astype(bool)
    if not len(values):
        return []
    limits = np.unique(np.round(edges if len(edges) else np.quantile(values, (0.25, 0.5, 0.75))))
    word_bin, other_bin = np.digitize(values, limits), np.digitize(others, limits)
    return [
        TextKind(
            label.format(_range(limits, k)),
            int(np.count_nonzero(word_bin == k)),
            int(np.count_nonzero(is_found[word_bin == k])),
            int(np.count_nonzero(other_bin == k)),
            int(np.count_nonzero(is_true[other_bin == k])),
        )
        for k in range(len(limits) + 1)
    ]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _lost(counts: CLEvalCounts) -> float:
    """Characters that recall and precision lack."""
    missed = counts.gt_chars - counts.tp_chars + counts.recall_penalty
    wrong = counts.det_chars - counts.tp_chars + counts.precision_penalty
    return missed + wrong


def _cared(page: PageMistakes) -> NDArray[np.int64]:
    return np.flatnonzero([not box.ignore for box in page.page.boxes])


def _joined(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([np.empty(0), *parts])


def _range(limits: NDArray[np.float64], k: int) -> str:
    if k == 0:
        return f"below {limits[0]:.0f}"
    if k == len(limits):
        return f"at least {limits[-1]:.0f}"
    return f"{limits[k - 1]:.0f} to {limits[k]:.0f}"


def _boxes(outlines: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """(N, 3) of the smallest rectangle around each outline: its shorter side in pixels, the
    direction of the longer one in degrees, and how many times as long that is."""
    rows = np.empty((len(outlines), 3))
    for row, points in zip(rows, outlines, strict=True):
        (_, (width, height), angle) = cv2.minAreaRect(np.asarray(points, np.float32))
        along = angle if width >= height else angle + 90
        short, long = sorted((width, height))
        row[:] = short, along, long / max(short, 1e-9)
    return rows


def _indices(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())
