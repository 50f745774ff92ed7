"""Plane geometry that outlines of text need and no library offers at this speed.

Outlines are (V, 2) arrays of x and y, closed implicitly, in either orientation. Everything beyond
the few kernels here (intersections of arbitrary outlines, offsets) is shapely's and pyclipper's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from detector.compiled import kernel
from detector.errors import DataError


@dataclass(frozen=True)
class Outlines:
    """Outlines of any number of points, end to end, as numba takes them.

    Attributes:
        points: (N, 2) float64, those of outline i being `points[starts[i]:starts[i + 1]]`.
        starts: (outlines + 1,) int64.
    """

    points: NDArray[np.float64]
    starts: NDArray[np.int64]

    @classmethod
    def pack(cls, outlines: Sequence[NDArray[Any]], kind: str) -> "Outlines":
        """Copy (V, 2) arrays, V >= 3, end to end.

        Args:
            outlines: arrays of x and y.
            kind: what they are, for the error's text: "prediction".

        Raises:
            DataError: an array is not (V, 2) with V >= 3, or a coordinate is not finite.

        >>> len(Outlines.pack([np.array([[0, 0], [4, 0], [4, 2]])], "box"))
        1
        """
        starts = np.zeros(len(outlines) + 1, dtype=np.int64)
        try:
            np.cumsum(np.fromiter(map(len, outlines), np.int64), out=starts[1:])
            points = np.concatenate([np.empty((0, 2)), *outlines])
        except (TypeError, ValueError):
            raise _fault(outlines, kind) from None
        if np.diff(starts).min(initial=3) < 3 or not np.isfinite(points).all():
            raise _fault(outlines, kind)
        return cls(points, starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, i: int | np.integer) -> NDArray[np.float64]:
        return self.points[self.starts[i] : self.starts[i + 1]]

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        return (self[i] for i in range(len(self)))

    def truncated(self) -> "Outlines":
        """The same with coordinates truncated toward zero."""
        return Outlines(np.trunc(self.points), self.starts)


def _fault(outlines: Sequence[NDArray[Any]], kind: str) -> DataError:
    """What is wrong with the first outline that cannot be packed."""
    for i, outline in enumerate(outlines):
        points = np.asarray(outline, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
            return DataError(
                f"an outline has shape {points.shape}",
                where=f"{kind} {i}",
                remedy="give at least 3 points, each an x and a y",
            )
        if not np.isfinite(points).all():
            break
    return DataError(
        "an outline has a coordinate that is not finite",
        where=f"{kind} {i}",
        remedy="give every coordinate as a number of pixels",
    )


def region(points: NDArray[np.float64]) -> shapely.Geometry:
    """The area that an outline encloses by the even-odd rule: a valid (multi)polygon, maybe empty.

    The outline may touch or cross itself.

    >>> bow_tie = np.array([[0.0, 0], [2, 2], [2, 0], [0, 2]])
    >>> region(bow_tie).area
    2.0
    """
    polygon = shapely.Polygon(points)
    if polygon.is_valid:
        return polygon
    parts = shapely.get_parts(shapely.make_valid(polygon, method="linework"))
    surfaces = parts[shapely.get_dimensions(parts) == 2]
    return shapely.union_all(surfaces)


def regions(outlines: Iterable[NDArray[np.float64]]) -> NDArray[np.object_]:
    """`region` of every outline, as an array that shapely's vectorised functions take."""
    packed = list(outlines)
    if not packed:
        return np.empty(0, dtype=object)
    owner = np.repeat(np.arange(len(packed)), [len(points) for points in packed])
    rings = shapely.linearrings(np.concatenate(packed), indices=owner)
    polygons = np.asarray(shapely.polygons(rings), dtype=object)
    for i in np.flatnonzero(~shapely.is_valid(polygons)):
        polygons[i] = region(packed[i])
    return polygons


class Meetings(NamedTuple):
    """The pairs of regions of two sets that meet; see `meetings`.

    Attributes:
        i: (pairs,) position in the one set.
        j: (pairs,) position in the other.
        shared: (pairs,) area that both cover.
        union: (pairs,) area that either covers.
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    shared: NDArray[np.float64]
    union: NDArray[np.float64]

    def iou(self) -> NDArray[np.float64]:
        """(pairs,) intersection over union, from 0 to 1; 0 where neither has an area."""
        ratio = np.divide(
            self.shared, self.union, out=np.zeros_like(self.shared), where=self.union > 0
        )
        # The areas are rounded: a region and itself can give more than 1 in the last bit.
        return np.minimum(ratio, 1)


def meetings(one: NDArray[np.object_], other: NDArray[np.object_]) -> Meetings:
    """Which regions of two sets meet, and how much they share.

    Args:
        one, other: as `regions` gives them.

    >>> square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]])
    >>> squares = regions([square, square + 9])
    >>> found = meetings(squares[:1], squares)
    >>> found.i.tolist(), found.j.tolist(), found.shared.tolist(), found.iou().tolist()
    ([0], [0], [4.0], [1.0])
    """
    i, j = shapely.STRtree(other).query(one, predicate="intersects")
    shared = shapely.area(shapely.intersection(one[i], other[j]))
    union = shapely.area(one[i]) + shapely.area(other[j]) - shared
    return Meetings(i, j, shared, union)


@kernel()
def signed_area(points: NDArray[np.float64]) -> float:
    """Area by the shoelace formula: positive where the outline runs clockwise on a screen."""
    total = 0.0
    previous = len(points) - 1
    for i in range(len(points)):
        total += points[previous, 0] * points[i, 1] - points[i, 0] * points[previous, 1]
        previous = i
    return total / 2


@kernel()
def length(points: NDArray[np.float64], closed: bool) -> float:
    """Length of a line through the points, with the edge back to the first if it is closed."""
    total = 0.0
    for i in range(0 if closed else 1, len(points)):
        previous = i - 1 if i > 0 else len(points) - 1
        dx = points[i, 0] - points[previous, 0]
        dy = points[i, 1] - points[previous, 1]
        total += np.sqrt(dx * dx + dy * dy)
    return total


@kernel()
def is_convex(points: NDArray[np.float64]) -> bool:
    """True if the outline turns one way only, once around, without doubling back on itself."""
    n = len(points)
    turn = 0.0
    reversals = 0
    last = n - 1
    while last > 0 and points[last, 0] == points[0, 0] and points[last, 1] == points[0, 1]:
        last -= 1
    dx = points[0, 0] - points[last, 0]
    dy = points[0, 1] - points[last, 1]
    heading = dx
    for i in range(1, n + 1):
        j = i if i < n else 0
        ex = points[j, 0] - points[i - 1, 0]
        ey = points[j, 1] - points[i - 1, 1]
        if ex == 0.0 and ey == 0.0:
            continue
        cross = dx * ey - dy * ex
        if cross == 0.0 and dx * ex + dy * ey < 0.0:
            return False
        if cross * turn < 0.0:
            return False
        if cross != 0.0:
            turn = cross
        # A star turns one way too, but its x reverses more often than there and back.
        if ex != 0.0:
            if ex * heading < 0.0:
                reversals += 1
            heading = ex
        dx, dy = ex, ey
    return reversals <= 2
