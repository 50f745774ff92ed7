"""Which ground truths and predictions have to do with each other, and how much."""

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from detector.compiled import kernel
from detector.evaluation.cleval.characters import Characters
from detector.evaluation.cleval.overlaps import overlap_areas
from detector.geometry.outlines import Outlines, region, regions, signed_area


class Pairs(NamedTuple):
    """Ground truths and predictions that lie near each other, ordered by g, then d.

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


class Findings(NamedTuple):
    """Every time that a prediction of a pair has the centre of a character in it.

    Attributes:
        pair: (F,) index of the pair.
        character: (F,) index of the character.
    """

    pair: NDArray[np.int64]
    character: NDArray[np.int64]


def relate(
    gt: Outlines, det: Outlines, characters: Characters, ignored: NDArray[np.bool_]
) -> tuple[Pairs, Findings]:
    """Pair the outlines that can overlap or share a character; see `Pairs`, `Findings`."""
    gt_pixels, det_pixels = gt.truncated(), det.truncated()
    g, d = _near(_bounds(gt.points, gt.starts), _bounds(det_pixels.points, det.starts))
    findings = _find(det_pixels.points, det.starts, characters, g, d)
    overlaps = overlap_areas(gt_pixels, det_pixels, g, d)
    if ignored.any():
        _take_truth_out_of_dont_cares(overlaps, gt_pixels, det_pixels, g, d, ignored)
    return Pairs(
        g,
        d,
        np.bincount(findings.pair, minlength=len(g)),
        _area_precision(overlaps, det_pixels.points, det.starts, d),
    ), findings


@kernel()
def _bounds(points: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Left, top, right and bottom of each outline: (outlines, 4)."""
    bounds = np.empty((len(starts) - 1, 4))
    for i in range(len(bounds)):
        bounds[i, :2], bounds[i, 2:] = np.inf, -np.inf
        for k in range(starts[i], starts[i + 1]):
            for axis in range(2):
                bounds[i, axis] = min(bounds[i, axis], points[k, axis])
                bounds[i, axis + 2] = max(bounds[i, axis + 2], points[k, axis])
    return bounds


@kernel()
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


@kernel()
def _find(
    det: NDArray[np.float64],
    starts: NDArray[np.int64],
    characters: Characters,
    g: NDArray[np.int64],
    d: NDArray[np.int64],
) -> Findings:
    most = characters.lengths[g].sum()
    pair_of, character_of = np.empty(most, np.int64), np.empty(most, np.int64)
    n = 0
    for pair in range(len(g)):
        outline = det[starts[d[pair]] : starts[d[pair] + 1]]
        for character in range(characters.first[g[pair]], characters.first[g[pair] + 1]):
            centre = characters.centres[character]
            if _is_inside(outline, centre[0], centre[1]):
                pair_of[n], character_of[n] = pair, character
                n += 1
    return Findings(pair_of[:n], character_of[:n])


@kernel()
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


@kernel()
def _area_precision(
    overlaps: NDArray[np.float64],
    det: NDArray[np.float64],
    starts: NDArray[np.int64],
    d: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Share of the prediction that overlaps; 0 where the prediction has no area."""
    precision = np.zeros(len(d), np.float32)
    for pair in range(len(d)):
        # Of an outline that crosses itself, as in the release: loops the other way round subtract.
        area = abs(signed_area(det[starts[d[pair]] : starts[d[pair] + 1]]))
        if area > 0.0:
            precision[pair] = overlaps[pair] / area
    return precision


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
    covers = overlap_areas(gt, gt, i, j) > 0
    i, j = i[covers], j[covers]
    for covered in set(i.tolist()):
        pairs = np.flatnonzero((g == covered) & (overlaps > 0))
        if len(pairs):
            text = shapely.union_all(regions(gt[k] for k in j[i == covered]))
            uncovered = shapely.difference(region(gt[covered]), text)
            det_regions = regions(det[k] for k in d[pairs])
            overlaps[pairs] = shapely.area(shapely.intersection(uncovered, det_regions))
