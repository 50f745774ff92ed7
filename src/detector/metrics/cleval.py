"""CLEval, detection only: how many characters were found, and how whole the words were left.

Baek et al. 2020, "CLEval: Character-Level Evaluation for Text Detection and Recognition Tasks"
(arXiv 2006.06244), with the rules of the authors' release 0.1.1 where the paper leaves a choice:
on quads the counts here are that release's counts. Recognition is not scored.

The rules, for a page of ground truths g and predictions d:

- Areas and inclusion use coordinates truncated toward zero; character centres and aspect ratios
  use them as they are.
- A ground truth of n characters has n centres, evenly along its reading axis. Inclusion in a
  prediction is even-odd, closed at the left and top, open at the right and bottom.
- Area precision AP[g, d] = area(g and d) / area(d). Where cared-for text covers a don't-care, the
  don't-care's area is without it.
- A prediction is dropped if one don't-care has AP >= 0.3, or if those that have a centre in it sum
  to that.
- Matches: one-to-one, one-to-many (a split word) and many-to-one (merged words).
- Found characters count once. Recall and precision lose a granularity penalty for each cut of a
  word and each merge of two. An unmatched prediction is charged characters by its aspect ratio.
- Over a data set the counts are summed, then the formulas applied once.

What the release leaves open or gets wrong, and what is done here:

- Outlines of other than 4 points (curved text; the release's own mode for them does not run). The
  first half of the vertices is the text's top from left to right, the second half its bottom from
  right to left; the middle vertex of an odd number ends both. Centre k of n lies halfway between
  the points at (k + 1/2)/n of each chain's length; the aspect ratio is that of the chains' mean
  length to the mean of the two ends. On 4 points both are the definition for quads.
- A prediction of other than 4 points has no such order: the aspect ratio that it is charged by is
  its minimum-area rectangle's, its width the side nearer to the horizontal.
- `text=None` says that nobody transcribed the box: it has the pseudo length of its aspect ratio,
  as a don't-care has. `text=""` is a transcription of no characters: no centres, as in the release.
- Outlines that are not convex, or cross or touch themselves, enclose what the even-odd rule says.
- An empty page scores 0 in all three, even if nothing was predicted on it, as in the release. In
  the micro scores it weighs nothing; in `DatasetScore.hmean_pages` it is a page that scored 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray

from detector.data.page import TextBox
from detector.geometry import Outlines, is_convex, length, region, regions, signed_area

_EPSILON = 1e-5
_MAX_PSEUDO_CHARACTERS = 10


@dataclass(frozen=True)
class CLEvalOptions:
    """The constants of CLEval; scores with others than these defaults are not comparable.

    Attributes:
        area_precision: least AP of a match.
        recall_granularity: characters lost for each cut of a ground truth.
        precision_granularity: characters lost for each merge of two ground truths.
        vertical_aspect: width / height below which text is read from bottom edge to top edge.
    """

    area_precision: float = 0.3
    recall_granularity: float = 1.0
    precision_granularity: float = 1.0
    vertical_aspect: float = 0.5


OFFICIAL = CLEvalOptions()


@dataclass(frozen=True)
class CLEvalCounts:
    """What was counted on one page, or on several: counts add up.

    Attributes:
        gt_chars: characters of the cared-for ground truths.
        det_chars: characters in matched predictions, repeats included, plus `fp_chars`.
        tp_chars: characters found, each once.
        fp_chars: characters that unmatched predictions are charged.
        recall_penalty: granularity penalty of cut ground truths, in characters.
        precision_penalty: granularity penalty of merging predictions, in characters.
        repeated_chars: findings of a character beyond its first.
        split_boxes: ground truths that more than one prediction matches.
        merged_boxes: predictions that more than one ground truth matches.

    >>> two_pages = CLEvalCounts(gt_chars=8, det_chars=8, tp_chars=8) + CLEvalCounts(gt_chars=8)
    >>> two_pages.recall, two_pages.precision
    (0.5, 1.0)
    """

    gt_chars: int = 0
    det_chars: int = 0
    tp_chars: int = 0
    fp_chars: int = 0
    recall_penalty: float = 0.0
    precision_penalty: float = 0.0
    repeated_chars: int = 0
    split_boxes: int = 0
    merged_boxes: int = 0

    def __add__(self, other: "CLEvalCounts") -> "CLEvalCounts":
        return CLEvalCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def recall(self) -> float:
        """Share of the true characters that were found, less the penalty for cut words."""
        return _share(self.tp_chars - self.recall_penalty, self.gt_chars)

    @property
    def precision(self) -> float:
        """Share of the predicted characters that are true, less the penalty for merged words."""
        return _share(self.tp_chars - self.precision_penalty, self.det_chars)

    @property
    def hmean(self) -> float:
        """Harmonic mean of recall and precision."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0


@dataclass(frozen=True)
class DatasetScore:
    """The score of a data set.

    `recall`, `precision` and `hmean` are micro scores: counts summed, then the formulas, as CLEval
    defines. `hmean_pages` is the mean of the pages' own H-Means (macro), which others report.

    Attributes:
        pages: the counts of each page, in the order given.
    """

    pages: tuple[CLEvalCounts, ...]

    @property
    def counts(self) -> CLEvalCounts:
        """The pages' counts, summed."""
        return sum(self.pages, start=CLEvalCounts())

    @property
    def recall(self) -> float:
        """Micro recall."""
        return self.counts.recall

    @property
    def precision(self) -> float:
        """Micro precision."""
        return self.counts.precision

    @property
    def hmean(self) -> float:
        """Micro H-Mean."""
        return self.counts.hmean

    @property
    def hmean_pages(self) -> float:
        """Mean of the pages' H-Means; 0 without pages."""
        return _share(sum(page.hmean for page in self.pages), len(self.pages))


def evaluate_pages(
    pages: Iterable[tuple[Sequence[TextBox], Sequence[NDArray[Any]]]],
    options: CLEvalOptions = OFFICIAL,
) -> DatasetScore:
    """Score pages given as pairs of (truth, predictions); see `evaluate_page`."""
    return DatasetScore(
        tuple(evaluate_page(truth, predictions, options) for truth, predictions in pages)
    )


def evaluate_page(
    truth: Sequence[TextBox],
    predictions: Sequence[NDArray[Any]],
    options: CLEvalOptions = OFFICIAL,
) -> CLEvalCounts:
    """Count what CLEval counts on one page.

    Args:
        truth: the page's text boxes, don't-cares included.
        predictions: (V, 2) outlines in the same pixels, V >= 3.
        options: the metric's constants.

    Raises:
        DataError: an outline with fewer than 3 points or a coordinate that is not finite.

    >>> word = np.array([[0, 0], [80, 0], [80, 20], [0, 20]])
    >>> evaluate_page([TextBox(word, "word")], [word]).hmean
    1.0
    >>> left_half = word // [2, 1]
    >>> evaluate_page([TextBox(word, "word")], [left_half]).recall
    0.5
    """
    gt = Outlines.pack([box.points for box in truth], "ground truth")
    det = Outlines.pack(predictions, "prediction")
    ignored = np.array([box.ignore for box in truth], dtype=np.bool_)
    characters = _characters(truth, gt, options)
    pairs = _relate(gt, det, characters, ignored)
    valid, matched = _match(pairs, ignored, len(det), options.area_precision)
    matches = pairs.where(matched)
    times_found = _times_found(
        det.truncated().points,
        det.starts,
        characters.centres,
        characters.first,
        matches.g,
        matches.d,
    )
    unmatched = valid.copy()
    unmatched[matches.d] = False
    fp_chars = int(_false_positive_chars(det)[unmatched].sum())
    matches_of_gt = np.bincount(matches.g, minlength=len(gt))
    matches_of_det = np.bincount(matches.d, minlength=len(det))
    return CLEvalCounts(
        gt_chars=int(characters.lengths[~ignored].sum()),
        det_chars=int(matches.hits.sum()) + fp_chars,
        tp_chars=int(np.count_nonzero(times_found)),
        fp_chars=fp_chars,
        recall_penalty=_beyond_first(matches_of_gt) * options.recall_granularity,
        precision_penalty=_beyond_first(matches_of_det) * options.precision_granularity,
        repeated_chars=_beyond_first(times_found),
        split_boxes=int(np.count_nonzero(matches_of_gt > 1)),
        merged_boxes=int(np.count_nonzero(matches_of_det > 1)),
    )


def _share(part: float, whole: float) -> float:
    return max(0.0, part) / whole if whole else 0.0


def _beyond_first(times: NDArray[np.int64]) -> int:
    return int(np.maximum(times - 1, 0).sum())


# --- Characters ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Characters:
    """The characters of all ground truths.

    Attributes:
        lengths: (G,) number of each ground truth's.
        centres: (C, 2).
        first: (G + 1,): the centres of ground truth g are `centres[first[g]:first[g + 1]]`.
    """

    lengths: NDArray[np.int64]
    centres: NDArray[np.float64]
    first: NDArray[np.int64]


def _characters(truth: Sequence[TextBox], gt: Outlines, options: CLEvalOptions) -> _Characters:
    aspects = _aspects(gt.points, gt.starts)
    lengths = _character_counts(truth, aspects)
    first = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=first[1:])
    vertical = aspects < options.vertical_aspect
    return _Characters(lengths, _character_centres(gt.points, gt.starts, first, vertical), first)


@njit(cache=True)
def _chains(outline):  # type: ignore[no-untyped-def]  # slices: numba infers their layout
    """The top from left to right and the bottom from left to right."""
    n = len(outline)
    return outline[: (n + 1) // 2], outline[n // 2 :][::-1]


@njit(cache=True)
def _distance(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    return np.sqrt((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2)


@njit(cache=True)
def _aspects(points: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Width / height of each outline, along its chains and across them."""
    aspects = np.empty(len(starts) - 1)
    for i in range(len(aspects)):
        top, bottom = _chains(points[starts[i] : starts[i + 1]])
        width = (length(top, False) + length(bottom, False)) / 2
        height = (_distance(top[-1], bottom[-1]) + _distance(bottom[0], top[0])) / 2
        aspects[i] = (width + _EPSILON) / (height + _EPSILON)
    return aspects


def _false_positive_chars(det: Outlines) -> NDArray[np.float64]:
    """Characters that each prediction is charged if nothing matches it."""
    aspects = _aspects(det.points, det.starts)
    for i in np.flatnonzero(np.diff(det.starts) != 4):
        aspects[i] = _rectangle_aspect(det[i])
    # Not a slip: the release charges tall predictions more than wide ones.
    return np.minimum(np.rint(0.5 + 1 / (_EPSILON + aspects)), _MAX_PSEUDO_CHARACTERS)


def _rectangle_aspect(outline: NDArray[np.float64]) -> float:
    """Width / height of the minimum-area rectangle, the width being its more horizontal side."""
    corners = cv2.boxPoints(cv2.minAreaRect(outline.astype(np.float32)))
    one, other = corners[1] - corners[0], corners[2] - corners[1]
    if abs(one[0]) < abs(one[1]):
        one, other = other, one
    return float((np.hypot(*one) + _EPSILON) / (np.hypot(*other) + _EPSILON))


def _character_counts(truth: Sequence[TextBox], aspects: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of characters of each ground truth: its text's, or its pseudo length."""
    pseudo = np.minimum(np.rint(0.5 + np.maximum(aspects, 1 / aspects)), _MAX_PSEUDO_CHARACTERS)
    counts = pseudo.astype(np.int64)
    for i, box in enumerate(truth):
        if box.text is not None and not box.ignore:
            counts[i] = len(box.text)
    return counts


@njit(cache=True)
def _character_centres(
    points: NDArray[np.float64],
    starts: NDArray[np.int64],
    first: NDArray[np.int64],
    vertical: NDArray[np.bool_],
) -> NDArray[np.float64]:
    centres = np.empty((first[-1], 2))
    for g in range(len(vertical)):
        outline = points[starts[g] : starts[g + 1]]
        row = centres[first[g] : first[g + 1]]
        if vertical[g]:
            _spread_upwards(outline, row)
        elif len(outline) == 4:
            _spread((outline[0] + outline[3]) / 2, (outline[1] + outline[2]) / 2, row)
        else:
            _spread_along_chains(outline, row)
    return centres


@njit(cache=True)
def _spread(a: NDArray[np.float64], b: NDArray[np.float64], centres: NDArray[np.float64]) -> None:
    """Fill in n centres, each in the middle of one nth of the segment from a to b."""
    for axis in range(2):
        # In this order of operations, as the release: centres on an edge decide by their last bit.
        unit = (b[axis] - a[axis]) / max(len(centres), 1)
        for k in range(len(centres)):
            centres[k, axis] = a[axis] + unit / 2 + unit * k


@njit(cache=True)
def _spread_upwards(outline: NDArray[np.float64], centres: NDArray[np.float64]) -> None:
    """Fill in the centres of vertical text: from the middle of the bottom to that of the top."""
    if len(outline) == 4:
        _spread((outline[3] + outline[2]) / 2, (outline[0] + outline[1]) / 2, centres)
        return
    top, bottom = _chains(outline)
    _spread(_point_at(bottom, 0.5), _point_at(top, 0.5), centres)


@njit(cache=True)
def _spread_along_chains(outline: NDArray[np.float64], centres: NDArray[np.float64]) -> None:
    top, bottom = _chains(outline)
    for k in range(len(centres)):
        share = (k + 0.5) / len(centres)
        centres[k] = (_point_at(top, share) + _point_at(bottom, share)) / 2


@njit(cache=True)
def _point_at(chain: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The point at a share (0 to 1) of a chain's length."""
    left = share * length(chain, False)
    for i in range(len(chain) - 1):
        step = _distance(chain[i], chain[i + 1])
        if left <= step and step > 0.0:
            return chain[i] + (chain[i + 1] - chain[i]) * (left / step)
        left -= step
    return chain[-1].copy()


@njit(cache=True)
def _is_inside(outline: NDArray[np.float64], x: float, y: float) -> bool:
    """Even-odd inclusion; an edge owns its upper end and not its lower one."""
    inside = False
    j = len(outline) - 1
    for i in range(len(outline)):
        xi, yi = outline[i, 0], outline[i, 1]
        xj, yj = outline[j, 0], outline[j, 1]
        crosses = (yi <= y < yj) or (yj <= y < yi)
        if crosses and x < (xj - xi) * (y - yi) / (yj - yi) + xi:
            inside = not inside
        j = i
    return inside


@njit(cache=True)
def _times_found(
    pixels: NDArray[np.float64],
    starts: NDArray[np.int64],
    centres: NDArray[np.float64],
    first: NDArray[np.int64],
    g: NDArray[np.int64],
    d: NDArray[np.int64],
) -> NDArray[np.int64]:
    """How many of the matches (g, d) find each character (C,)."""
    times = np.zeros(len(centres), np.int64)
    for pair in range(len(g)):
        outline = pixels[starts[d[pair]] : starts[d[pair] + 1]]
        for c in range(first[g[pair]], first[g[pair] + 1]):
            times[c] += _is_inside(outline, centres[c, 0], centres[c, 1])
    return times


# --- Pairs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pairs:
    """Ground truths and predictions that may have to do with each other, ordered by g, then d.

    Attributes:
        g: (P,) index of the ground truth.
        d: (P,) index of the prediction.
        hits: (P,) characters of g that have their centre in d.
        area_precision: (P,) float32, as in the release: the comparison with 0.3 depends on it.
    """

    g: NDArray[np.int64]
    d: NDArray[np.int64]
    hits: NDArray[np.int64]
    area_precision: NDArray[np.float32]

    def where(self, chosen: NDArray[np.bool_]) -> "_Pairs":
        return _Pairs(
            self.g[chosen], self.d[chosen], self.hits[chosen], self.area_precision[chosen]
        )


def _relate(
    gt: Outlines, det: Outlines, characters: _Characters, ignored: NDArray[np.bool_]
) -> _Pairs:
    gt_pixels, det_pixels = gt.truncated(), det.truncated()
    g, d = _near(_bounds(gt.points, gt.starts), _bounds(det_pixels.points, det_pixels.starts))
    hits = _hits(det_pixels.points, det.starts, characters.centres, characters.first, g, d)
    overlaps = _overlaps(gt_pixels, det_pixels, g, d)
    if ignored.any():
        _take_truth_out_of_dont_cares(overlaps, gt_pixels, det_pixels, g, d, ignored)
    areas = _areas(det_pixels)[d]
    area_precision = np.zeros(len(g), dtype=np.float32)
    np.divide(overlaps, areas, out=area_precision, where=areas > 0, casting="same_kind")
    return _Pairs(g, d, hits, area_precision)


@njit(cache=True)
def _bounds(points: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Left, top, right and bottom of each run of points: (runs, 4); of none, what nothing meets."""
    bounds = np.empty((len(starts) - 1, 4))
    for i in range(len(bounds)):
        bounds[i, :2], bounds[i, 2:] = np.inf, -np.inf
        for k in range(starts[i], starts[i + 1]):
            for axis in range(2):
                bounds[i, axis] = min(bounds[i, axis], points[k, axis])
                bounds[i, axis + 2] = max(bounds[i, axis + 2], points[k, axis])
    return bounds


@njit(cache=True)
def _near(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of bounds less than 2 pixels apart: truncation moves an edge by less than 1."""
    first = np.empty(len(a) * len(b), np.int64)
    second = np.empty_like(first)
    n = 0
    for i in range(len(a)):
        left, top, right, bottom = a[i, 0] - 2, a[i, 1] - 2, a[i, 2] + 2, a[i, 3] + 2
        for j in range(len(b)):
            if b[j, 1] < bottom and b[j, 3] > top and b[j, 0] < right and b[j, 2] > left:
                first[n], second[n] = i, j
                n += 1
    return first[:n], second[:n]


@njit(cache=True)
def _hits(
    pixels: NDArray[np.float64],
    starts: NDArray[np.int64],
    centres: NDArray[np.float64],
    first: NDArray[np.int64],
    g: NDArray[np.int64],
    d: NDArray[np.int64],
) -> NDArray[np.int64]:
    """How many characters of g lie in d, for each pair."""
    hits = np.zeros(len(g), np.int64)
    for pair in range(len(g)):
        outline = pixels[starts[d[pair]] : starts[d[pair] + 1]]
        for c in range(first[g[pair]], first[g[pair] + 1]):
            hits[pair] += _is_inside(outline, centres[c, 0], centres[c, 1])
    return hits


# --- Areas --------------------------------------------------------------------------------------


def _areas(outlines: Outlines) -> NDArray[np.float64]:
    """The area of each outline."""
    areas = _convex_areas(outlines.points, outlines.starts)
    crooked = np.flatnonzero(np.isnan(areas))
    areas[crooked] = shapely.area(regions(outlines[i] for i in crooked))
    return areas


def _overlaps(
    a: Outlines, b: Outlines, i: NDArray[np.int64], j: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The area of overlap of a[i] and b[j], for each pair (i, j)."""
    overlaps = _convex_overlaps(a.points, a.starts, b.points, b.starts, i, j)
    crooked = np.flatnonzero(np.isnan(overlaps))
    if len(crooked):
        a_used, a_of = np.unique(i[crooked], return_inverse=True)
        b_used, b_of = np.unique(j[crooked], return_inverse=True)
        a_regions = regions(a[k] for k in a_used)[a_of]
        b_regions = regions(b[k] for k in b_used)[b_of]
        overlaps[crooked] = shapely.area(shapely.intersection(a_regions, b_regions))
    return overlaps


def _take_truth_out_of_dont_cares(
    overlaps: NDArray[np.float64],
    gt: Outlines,
    det: Outlines,
    g: NDArray[np.int64],
    d: NDArray[np.int64],
    ignored: NDArray[np.bool_],
) -> None:
    """Correct the overlaps of don't-cares that cared-for text covers in part."""
    bounds = _bounds(gt.points, gt.starts)
    dont_care, cared = np.flatnonzero(ignored), np.flatnonzero(~ignored)
    i, j = _near(bounds[dont_care], bounds[cared])
    i, j = dont_care[i], cared[j]
    covers = _overlaps(gt, gt, i, j) > 0
    for covered in np.unique(i[covers]):
        pairs = np.flatnonzero((g == covered) & (overlaps > 0))
        if len(pairs):
            text = shapely.union_all(regions(gt[k] for k in j[covers & (i == covered)]))
            uncovered = shapely.difference(region(gt[covered]), text)
            det_regions = regions(det[k] for k in d[pairs])
            overlaps[pairs] = shapely.area(shapely.intersection(uncovered, det_regions))


@njit(cache=True)
def _convex_areas(points: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Areas of outlines; NaN for those that are not convex."""
    areas = np.empty(len(starts) - 1)
    for i in range(len(areas)):
        outline = points[starts[i] : starts[i + 1]]
        areas[i] = abs(signed_area(outline)) if is_convex(outline) else np.nan
    return areas


@njit(cache=True)
def _convex_overlaps(
    a: NDArray[np.float64],
    a_starts: NDArray[np.int64],
    b: NDArray[np.float64],
    b_starts: NDArray[np.int64],
    i: NDArray[np.int64],
    j: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Areas of overlap of pairs; NaN for those that are not convex both."""
    overlaps = np.empty(len(i))
    for pair in range(len(i)):
        one = a[a_starts[i[pair]] : a_starts[i[pair] + 1]]
        other = b[b_starts[j[pair]] : b_starts[j[pair] + 1]]
        convex = is_convex(one) and is_convex(other)
        overlaps[pair] = convex_overlap(one, other) if convex else np.nan
    return overlaps


@njit(cache=True)
def convex_overlap(subject: NDArray[np.float64], clip: NDArray[np.float64]) -> float:
    """Area of the intersection of two convex outlines (Sutherland and Hodgman 1974).

    >>> square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]])
    >>> convex_overlap(square, square + 1)
    1.0
    """
    # Cutting a convex outline along a line adds at most one vertex.
    kept = np.empty((len(subject) + len(clip), 2))
    cut = np.empty_like(kept)
    n = len(subject)
    kept[:n] = subject
    side = 1.0 if signed_area(clip) >= 0.0 else -1.0
    for i in range(len(clip)):
        n = _keep_half_plane(kept, n, clip[i], clip[(i + 1) % len(clip)], side, cut)
        if n < 3:
            return 0.0
        kept, cut = cut, kept
    return abs(signed_area(kept[:n]))


@njit(cache=True)
def _keep_half_plane(
    outline: NDArray[np.float64],
    n: int,
    p: NDArray[np.float64],
    q: NDArray[np.float64],
    side: float,
    out: NDArray[np.float64],
) -> int:
    """Write the part of the outline on one side of the line p-q; return its number of points."""
    dx, dy = q[0] - p[0], q[1] - p[1]
    kept = 0
    previous = n - 1
    before = side * (dx * (outline[previous, 1] - p[1]) - dy * (outline[previous, 0] - p[0]))
    for i in range(n):
        here = side * (dx * (outline[i, 1] - p[1]) - dy * (outline[i, 0] - p[0]))
        if (before < 0.0 < here) or (here < 0.0 < before):
            share = before / (before - here)
            for axis in range(2):
                step = outline[i, axis] - outline[previous, axis]
                out[kept, axis] = outline[previous, axis] + share * step
            kept += 1
        if here >= 0.0:
            out[kept, 0], out[kept, 1] = outline[i, 0], outline[i, 1]
            kept += 1
        previous, before = i, here
    return kept


# --- Matching -----------------------------------------------------------------------------------


def _match(
    pairs: _Pairs, ignored: NDArray[np.bool_], predictions: int, constraint: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The predictions that are not dropped (D,), and which pairs match (P,)."""
    g, d, area_precision = pairs.g, pairs.d, pairs.area_precision
    hit = pairs.hits > 0
    candidate = hit & (area_precision >= constraint)
    valid = _valid_predictions(pairs, ignored, predictions, constraint)
    live = valid[d] & ~ignored[g]

    # Don't-cares and dropped predictions do not match, but they compete.
    alone = (np.bincount(g[candidate], minlength=len(ignored)) == 1)[g] & (
        np.bincount(d[candidate], minlength=predictions) == 1
    )[d]
    one_to_one = live & candidate & alone

    pieces = live & candidate
    one_to_many = pieces & (np.bincount(g[pieces], minlength=len(ignored)) >= 2)[g]

    words = live & hit
    covered = np.bincount(d[words], weights=area_precision[words], minlength=predictions)
    merges = (np.bincount(d[words], minlength=predictions) >= 2) & (covered >= constraint)
    many_to_one = words & merges[d]

    return valid, one_to_one | one_to_many | many_to_one


def _valid_predictions(
    pairs: _Pairs, ignored: NDArray[np.bool_], predictions: int, constraint: float
) -> NDArray[np.bool_]:
    """Predictions (D,) that do not lie on don't-cares."""
    on_dont_care = pairs.where(ignored[pairs.g])
    hit = on_dont_care.where(on_dont_care.hits > 0)
    covered = np.zeros(predictions, dtype=np.float32)
    np.add.at(covered, hit.d, hit.area_precision)
    valid = covered < constraint
    valid[on_dont_care.d[on_dont_care.area_precision >= constraint]] = False
    return valid
