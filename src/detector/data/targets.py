"""DBNet's training targets: the shrunken text, the border around it, and where neither counts.

The definitions are those of Liao et al. 2020, "Real-time Scene Text Detection with Differentiable
Binarization" (arXiv 1911.08947, section 3.5), in the form that PaddleOCR made common: Vatti offsets
on whole pixels by D = area * (1 - shrink_ratio^2) / perimeter. This module reads no files and knows
no tensors.

Where that form leaves a choice or is known to fail:

- Whether a polygon is text or ignored is decided once, and before its border is drawn.
- The distance to an edge comes from a cross product, which is exact on the edge. The law of cosines
  that is common instead rounds to NaN there and leaves holes in the threshold map.
- A polygon that shrinks to several pieces is shrunk less (by the next multiple of the ratio below
  1) until it stays whole; if it never does, all pieces are text. One that shrinks to nothing at
  every ratio is ignored.
- A polygon that leaves the map is cut at the map's edge, and what is left is a polygon of its own
  with an edge there. (Moving its vertices to the edge, as is common, bends what is still visible.)
- A polygon of less than 1 square pixel, of fewer than 3 distinct points, with crossing edges, or
  with a coordinate that is no place (NaN) is no outline of text. Four corners in a crossed order
  are taken in the order of their hull, and an outline with a small knot loses it; all others are
  dropped, counted, and masked out of the loss. An outline may touch itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from detector.compiled import kernel
from detector.errors import ConfigError
from detector.geometry.offset import Offset
from detector.geometry.outlines import region, signed_area

_MIN_AREA = 1.0
# Share of a crossing outline's area that may change when its knots are cut off.
_MAX_KNOT = 0.1
# Beyond this, float64 no longer resolves a thousandth of a pixel.
_MAX_COORDINATE = 1e12
# A squared distance beyond any on an image. The kernels are compiled to know no infinity.
_FAR = np.float32(1e18)


@dataclass(frozen=True)
class Targets:
    """What a DBNet is trained towards, for one image; all maps are (H, W).

    Attributes:
        shrink_map: uint8, 1 in the shrunken text.
        shrink_mask: uint8, 0 where the shrink map must not count: ignored and unusable text.
        thresh_map: float32, `thresh_max` on the outlines of text, falling to `thresh_min` at the
            distance that the text is shrunk by.
        thresh_mask: uint8, 1 where the threshold map counts: the text, expanded by that distance.
        dropped: polygons within reach of the map that outline nothing, though they were not marked
            as ignored.
    """

    shrink_map: NDArray[np.uint8]
    shrink_mask: NDArray[np.uint8]
    thresh_map: NDArray[np.float32]
    thresh_mask: NDArray[np.uint8]
    dropped: int


def build_targets(
    polygons: Sequence[NDArray[Any]],
    ignore: Sequence[bool],
    height: int,
    width: int,
    *,
    shrink_ratio: float = 0.4,
    thresh_min: float = 0.3,
    thresh_max: float = 0.7,
    min_text_size: float = 8,
) -> Targets:
    """Draw the targets of one image.

    Args:
        polygons: (V, 2) outlines of text in pixels; they may leave the map.
        ignore: which polygons are "don't care".
        height: H, rows of the maps.
        width: W, columns of the maps.
        shrink_ratio: r of the paper, in (0, 1).
        thresh_min: threshold far from every outline.
        thresh_max: threshold on an outline.
        min_text_size: text whose upright box is narrower or lower than this (in pixels) is ignored.

    Raises:
        ConfigError: `shrink_ratio` is not within (0, 1).

    >>> word = np.array([[8, 8], [56, 8], [56, 24], [8, 24]])
    >>> targets = build_targets([word], [False], height=32, width=64)
    >>> int(targets.shrink_map.sum()), round(float(targets.thresh_map[8, 30]), 4), targets.dropped
    (273, 0.7, 0)
    """
    if not 0 < shrink_ratio < 1:
        raise ConfigError(
            f"a polygon cannot be shrunk by the ratio {shrink_ratio}",
            where="shrink_ratio",
            remedy="give a ratio above 0 and below 1; the paper's is 0.4",
        )
    shrink_map = np.zeros((height, width), dtype=np.uint8)
    shrink_mask = np.ones((height, width), dtype=np.uint8)
    thresh_map = np.full((height, width), thresh_min, dtype=np.float32)
    thresh_mask = np.zeros((height, width), dtype=np.uint8)

    text, blank, dropped = _sort(polygons, ignore, height, width)
    for outline in text:
        offset = Offset(outline)
        kernel = _shrink(offset, shrink_ratio) if _side(outline) >= min_text_size else []
        if not kernel:
            blank.append(outline)
            continue
        cv2.fillPoly(shrink_map, kernel, 1)
        border = offset.paths(_reach(shrink_ratio))
        cv2.fillPoly(thresh_mask, border, 1)
        box = cv2.boundingRect(np.concatenate(border))
        distance = offset.distance(_reach(shrink_ratio))
        _raise_thresholds(thresh_map, outline, box, distance, thresh_min, thresh_max)
    for outline in blank:
        cv2.fillPoly(shrink_mask, [outline.astype(np.int32)], 0)
    return Targets(shrink_map, shrink_mask, thresh_map, thresh_mask, dropped)


# --- Which polygons are text --------------------------------------------------------------------


def _sort(
    polygons: Sequence[NDArray[Any]], ignore: Sequence[bool], height: int, width: int
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]], int]:
    """Simple outlines of text, outlines to mask out (both within the map), and how many dropped."""
    text: list[NDArray[np.float64]] = []
    blank: list[NDArray[np.float64]] = []
    dropped = 0
    for polygon, ignored in zip(polygons, ignore, strict=True):
        # A copy, since numba compiles once more for views and for arrays that are read-only.
        points = np.array(polygon, dtype=np.float64, order="C").reshape(-1, 2)
        # Most text of a page lies outside a training crop, and needs no closer look.
        if _is_outside(points, height, width):
            continue
        if not ignored and _is_sound(points):
            text.extend(_clip(points, height, width))
            continue
        usable = (np.abs(points) <= _MAX_COORDINATE).all(axis=1)
        mended = None if ignored or not usable.all() else _mend(points)
        if mended is None:
            blank.extend(_clip(points[usable], height, width))
            dropped += not ignored
        else:
            text.extend(_clip(mended, height, width))
    return text, blank, dropped


@kernel()
def _is_outside(points: NDArray[np.float64], height: int, width: int) -> bool:
    """True if the outline's upright box does not meet the map. False where a point is NaN."""
    if len(points) == 0:
        return False
    x, y = points[:, 0], points[:, 1]
    across = x.max() < 0 or x.min() > width - 1
    return bool(across or y.max() < 0 or y.min() > height - 1)


@kernel()
def _is_within(points: NDArray[np.float64], height: int, width: int) -> bool:
    """True if the outline has points, and all of them lie within the map."""
    if len(points) == 0:
        return False
    x, y = points[:, 0], points[:, 1]
    right, bottom = width - 1, height - 1
    return bool(x.min() >= 0 and y.min() >= 0 and x.max() <= right and y.max() <= bottom)


@kernel()
def _is_sound(points: NDArray[np.float64]) -> bool:
    """True if the outline is simple. False says only that it needs a closer look."""
    # Written so that a NaN fails.
    if len(points) < 3 or not (np.abs(points) <= _MAX_COORDINATE).all():
        return False
    return abs(signed_area(points)) >= _MIN_AREA and not _edges_meet(points)


@kernel()
def _edges_meet(points: NDArray[np.float64]) -> bool:
    """True if two edges that are not neighbours touch or cross."""
    n = len(points)
    for i in range(n - 2):
        for j in range(i + 2, n if i > 0 else n - 1):
            p, q, r, s = points[i], points[i + 1], points[j], points[(j + 1) % n]
            if (
                min(p[0], q[0]) <= max(r[0], s[0])
                and min(r[0], s[0]) <= max(p[0], q[0])
                and min(p[1], q[1]) <= max(r[1], s[1])
                and min(r[1], s[1]) <= max(p[1], q[1])
                and _turn(p, q, r) * _turn(p, q, s) <= 0.0
                and _turn(r, s, p) * _turn(r, s, q) <= 0.0
            ):
                return True
    return False


@kernel()
def _turn(p: NDArray[np.float64], q: NDArray[np.float64], r: NDArray[np.float64]) -> float:
    """Positive, zero or negative as r lies on one side of the line p-q, on it, or on the other."""
    return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))


def _mend(points: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The simple outline that was meant, or None if there is none."""
    if len(np.unique(points, axis=0)) < 3:
        return None
    if len(points) == 4 and not shapely.Polygon(points).is_valid:
        return _large_enough(shapely.MultiPoint(points).convex_hull)
    enclosed = region(points)
    largest = max(shapely.get_parts(enclosed), key=shapely.area, default=None)
    if largest is None:
        return None
    # Without its holes: a hole is a knot, too.
    filled = shapely.Polygon(largest.exterior)
    changed = shapely.symmetric_difference(filled, enclosed)
    if shapely.area(changed) <= _MAX_KNOT * shapely.area(enclosed):
        return _large_enough(filled)
    return points if _only_touches(points, shapely.area(enclosed)) else None


def _only_touches(points: NDArray[np.float64], enclosed: float) -> bool:
    """True if the outline that encloses this area touches itself but does not cross.

    Where it crosses, it runs around some of the area the other way, or twice.
    """
    return enclosed >= _MIN_AREA and math.isclose(abs(signed_area(points)), enclosed)


def _large_enough(shape: shapely.Geometry) -> NDArray[np.float64] | None:
    return _vertices(shape) if shapely.area(shape) >= _MIN_AREA else None


def _vertices(polygon: shapely.Geometry) -> NDArray[np.float64]:
    return shapely.get_coordinates(shapely.get_exterior_ring(polygon))[:-1]


def _clip(points: NDArray[np.float64], height: int, width: int) -> list[NDArray[np.float64]]:
    """The parts of an outline within the map; the outline itself if it lies within."""
    if _is_within(points, height, width):
        return [points]
    if len(points) < 3:
        return []
    inside = shapely.intersection(region(points), shapely.box(0, 0, width - 1, height - 1))
    return [_vertices(part) for part in shapely.get_parts(inside) if part.area > 0]


# --- The shrunken text --------------------------------------------------------------------------


def _reach(shrink_ratio: float) -> float:
    """How far text is shrunk, and its border reaches out, by area / perimeter: D of the paper."""
    return 1 - shrink_ratio**2


def _shrink(offset: Offset, shrink_ratio: float) -> list[NDArray[np.int32]]:
    """The shrunken text: one path if any ratio yields one, else what the last ratio leaves."""
    pieces: list[NDArray[np.int32]] = []
    for multiple in range(1, math.ceil(1 / shrink_ratio)):
        pieces = offset.paths(-_reach(multiple * shrink_ratio))
        if len(pieces) == 1:
            break
    return pieces


@kernel()
def _side(outline: NDArray[np.float64]) -> float:
    """The shorter side of the upright box."""
    x, y = outline[:, 0], outline[:, 1]
    return float(min(x.max() - x.min(), y.max() - y.min()))


# --- The threshold map --------------------------------------------------------------------------


@kernel()
def _raise_thresholds(
    thresh_map: NDArray[np.float32],
    outline: NDArray[np.float64],
    box: cv2.typing.Rect,
    distance: float,
    lowest: float,
    highest: float,
) -> None:
    """Raise the map to an outline's thresholds within its box (left, top, width, height)."""
    height, width = thresh_map.shape
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
    # Relative to the box's first pixel, so that float32 is precise enough.
    relative = (outline - np.array([left, top])).astype(np.float32)
    squared = _squared_distances(relative, bottom - top, right - left)
    _raise_to(
        thresh_map[top:bottom, left:right],
        squared,
        np.float32(1 / distance),
        np.float32(highest),
        np.float32(highest - lowest),
    )


@kernel(fastmath=True)
def _squared_distances(
    outline: NDArray[np.float32], height: int, width: int
) -> NDArray[np.float32]:
    """Squared distance to the outline of each pixel of (height, width).

    To an edge AB, that of P is to the nearer end where the angle APB is acute, else to the line.
    """
    # As floats, since many processors convert no integers in their vector units.
    columns = np.arange(width).astype(np.float32)
    # Two buffers in turn: a minimum that is written back in place becomes a masked store, which
    # takes several times as long as all the rest on some processors.
    nearest = np.full((height, width), _FAR)
    nearer = np.empty_like(nearest)
    previous = len(outline) - 1
    for i in range(len(outline)):
        ax, bx = outline[previous, 0], outline[i, 0]
        dx, dy = bx - ax, outline[i, 1] - outline[previous, 1]
        edge = dx * dx + dy * dy
        per_edge = np.float32(1.0) / max(edge, np.float32(1e-12))
        for y in range(height):
            ay, by = outline[previous, 1] - np.float32(y), outline[i, 1] - np.float32(y)
            cross_at_first = dx * ay - dy * ax
            ay, by = ay * ay, by * by
            before, after = nearest[y], nearer[y]
            for x in range(width):
                px = columns[x]
                to_a = (ax - px) * (ax - px) + ay
                to_b = (bx - px) * (bx - px) + by
                cross = cross_at_first + dy * px
                to_line = cross * cross * per_edge
                after[x] = min(before[x], min(to_a, to_b) if to_a + to_b > edge else to_line)
        nearest, nearer = nearer, nearest
        previous = i
    return nearest


@kernel(fastmath=True)
def _raise_to(
    thresholds: NDArray[np.float32],
    squared: NDArray[np.float32],
    per_distance: np.float32,
    highest: np.float32,
    span: np.float32,
) -> None:
    """Raise thresholds to those that fall from `highest` by `span` over a distance."""
    for y in range(len(thresholds)):
        row, distances = thresholds[y], squared[y]
        for x in range(len(row)):
            fallen = min(np.float32(1.0), np.sqrt(distances[x]) * per_distance)
            # The maximum of both, as a sum for the reason above.
            row[x] += max(np.float32(0.0), highest - span * fallen - row[x])
