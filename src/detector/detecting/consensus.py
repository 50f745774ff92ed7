"""What several networks agree on: one set of outlines from the outlines that each of them found.

Where a mean of probability maps joins the networks before text is read from them, this joins them
after it. A text that few of the networks see is dropped, and an outline that one of them draws
wrongly is outvoted by the others' (Solovyev, Wang & Gabruseva 2021, "Weighted boxes fusion",
arXiv 1910.13302, average rectangles where this takes one of several polygons, for the corners of
polygons have no counterparts in each other).
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate, combinations

import numpy as np
from numpy.typing import NDArray

from detector.detecting.postprocess import Detections
from detector.geometry.outlines import meetings, regions

SAME_TEXT = 0.5
"""Outlines of two networks whose intersection over union is this or more are of the same text."""

Overlaps = dict[int, dict[int, float]]
"""For each outline, the outlines of the other networks that it meets, with their intersection over
union. Outlines are numbered through all networks."""


def agree(votes: Sequence[Detections]) -> Detections:
    """The text that more than half of the networks found.

    The outline of a text is that of its outlines which is nearest to the others (by intersection
    over union), its score their mean.

    Args:
        votes: what each network found on the same image, in the same pixels.

    >>> quad = np.array([[0, 0], [9, 0], [9, 4], [0, 4]], np.float32)
    >>> one, other = (Detections([quad + x], np.ones(1, np.float32)) for x in (0, 50))
    >>> agree([one, one, other]).polygons[0].tolist() == quad.tolist()
    True
    """
    polygons = [polygon for found in votes for polygon in found.polygons]
    scores = np.concatenate([found.scores for found in votes])
    voters = np.repeat(np.arange(len(votes)), [len(found) for found in votes])
    overlaps = _overlaps(votes)
    agreed = [
        members for members in _groups(scores, voters, overlaps) if len(members) > len(votes) / 2
    ]
    return Detections(
        [polygons[_central(members, overlaps)] for members in agreed],
        np.array([scores[members].mean() for members in agreed], np.float32),
    )


def _overlaps(votes: Sequence[Detections]) -> Overlaps:
    shapes = [regions(polygon.astype(np.float64) for polygon in v.polygons) for v in votes]
    starts = list(accumulate(map(len, votes), initial=0))
    result: Overlaps = defaultdict(dict)
    for one, other in combinations(range(len(votes)), 2):
        met = meetings(shapes[one], shapes[other])
        pairs = (numbers.tolist() for numbers in (met.i, met.j, met.iou()))
        for i, j, overlap in zip(*pairs, strict=True):
            here, there = starts[one] + i, starts[other] + j
            result[here][there] = result[there][here] = overlap
    return result


def _groups(
    scores: NDArray[np.float32], voters: NDArray[np.int64], overlaps: Overlaps
) -> list[list[int]]:
    """Outlines of the same text, at most one of each network: the surest gathers the nearest."""
    free = np.ones(len(scores), bool)
    groups = []
    for first in np.argsort(-scores, kind="stable").tolist():
        if not free[first]:
            continue
        members = {int(voters[first]): first}
        for near, overlap in sorted(overlaps[first].items(), key=lambda pair: -pair[1]):
            if overlap >= SAME_TEXT and free[near]:
                members.setdefault(int(voters[near]), near)
        groups.append(list(members.values()))
        free[groups[-1]] = False
    return groups


def _central(members: Sequence[int], overlaps: Overlaps) -> int:
    """The outline nearest to the others; of equal ones the surest, which stands first."""
    return max(members, key=lambda i: sum(overlaps[i].get(j, 0.0) for j in members))
