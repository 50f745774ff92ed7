"""How much outlines overlap: by clipping where both are convex, else by shapely."""

import numpy as np
import shapely
from numpy.typing import NDArray

from detector.compiled import kernel
from detector.geometry.outlines import Outlines, is_convex, regions, signed_area


def overlap_areas(
    a: Outlines, b: Outlines, i: NDArray[np.int64], j: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The area of overlap of a[i] and b[j], for each pair (i, j)."""
    areas = _convex_overlaps(a.points, a.starts, b.points, b.starts, i, j)
    crooked = np.flatnonzero(np.isnan(areas))
    if len(crooked):
        a_used, a_of = np.unique(i[crooked], return_inverse=True)
        b_used, b_of = np.unique(j[crooked], return_inverse=True)
        a_regions = regions(a[k] for k in a_used)[a_of]
        b_regions = regions(b[k] for k in b_used)[b_of]
        areas[crooked] = shapely.area(shapely.intersection(a_regions, b_regions))
    return areas


@kernel()
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


@kernel()
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
    for i in range(n):  # Assigned at once it takes numba seconds to compile.
        kept[i, 0], kept[i, 1] = subject[i, 0], subject[i, 1]
    side = 1.0 if signed_area(clip) >= 0.0 else -1.0
    for i in range(len(clip)):
        n = _keep_half_plane(kept, n, clip[i - 1], clip[i], side, cut)
        if n < 3:
            return 0.0
        kept, cut = cut, kept
    return abs(signed_area(kept[:n]))


@kernel()
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
