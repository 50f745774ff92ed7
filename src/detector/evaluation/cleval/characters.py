"""Where the characters of a text lie, and how many characters an outline counts as.

The definition for quads is the authors'; for other outlines it is this project's, and equals theirs
on 4 points (see the package's docstring).
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.compiled import kernel
from detector.data.page import TextBox
from detector.geometry.outlines import Outlines, length

_EPSILON = 1e-5
_MAX_PSEUDO_CHARACTERS = 10
_UNKNOWN = -1

Point = NDArray[np.float64] | tuple[float, float]
"""A row of an outline, or x and y."""


class Characters(NamedTuple):
    """The characters of all ground truths.

    Attributes:
        lengths: (G,) number of each ground truth's.
        first: (G + 1,): the centres of ground truth g are `centres[first[g]:first[g + 1]]`.
        centres: (C, 2) float64.
    """

    lengths: NDArray[np.int64]
    first: NDArray[np.int64]
    centres: NDArray[np.float64]


def place_characters(truth: Sequence[TextBox], gt: Outlines, vertical_aspect: float) -> Characters:
    """Give each ground truth its transcription's number of characters, or its pseudo length.

    Args:
        truth: the text boxes.
        gt: their outlines.
        vertical_aspect: width / height below which text is read from bottom edge to top edge.
    """
    written = np.array(
        [_UNKNOWN if box.text is None or box.ignore else len(box.text) for box in truth], np.int64
    )
    return _place(gt.points, gt.starts, written, vertical_aspect)


def false_positive_chars(det: Outlines, chosen: NDArray[np.int64]) -> int:
    """Characters that the chosen predictions are charged if nothing matches them."""
    aspects = _quad_aspects(det.points, det.starts, chosen)
    for i in np.flatnonzero(np.isnan(aspects)):
        aspects[i] = _rectangle_aspect(det[chosen[i]])
    # Not a slip: the release charges tall predictions more than wide ones.
    charged = np.minimum(np.rint(0.5 + 1 / (_EPSILON + aspects)), _MAX_PSEUDO_CHARACTERS)
    return int(charged.sum())


def _rectangle_aspect(outline: NDArray[np.float64]) -> float:
    """Width / height of the minimum-area rectangle, the width being its more horizontal side."""
    corners = cv2.boxPoints(cv2.minAreaRect(outline.astype(np.float32)))
    one, other = corners[1] - corners[0], corners[2] - corners[1]
    if abs(one[0]) < abs(one[1]):
        one, other = other, one
    return float((np.hypot(*one) + _EPSILON) / (np.hypot(*other) + _EPSILON))


@kernel()
def _place(
    points: NDArray[np.float64],
    starts: NDArray[np.int64],
    written: NDArray[np.int64],
    vertical_aspect: float,
) -> Characters:
    aspects = np.empty(len(written))
    lengths = written.copy()
    first = np.zeros(len(written) + 1, np.int64)
    for g in range(len(written)):
        aspects[g] = _aspect(points[starts[g] : starts[g + 1]])
        if written[g] == _UNKNOWN:
            pseudo = np.rint(0.5 + max(aspects[g], 1 / aspects[g]))
            lengths[g] = int(min(pseudo, _MAX_PSEUDO_CHARACTERS))
        first[g + 1] = first[g] + lengths[g]
    centres = np.empty((first[-1], 2))
    for g in range(len(written)):
        outline = points[starts[g] : starts[g + 1]]
        _spread(outline, aspects[g] < vertical_aspect, centres[first[g] : first[g + 1]])
    return Characters(lengths, first, centres)


@kernel()
def _quad_aspects(
    points: NDArray[np.float64], starts: NDArray[np.int64], chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Width / height of the chosen outlines; NaN for those of other than 4 points."""
    aspects = np.full(len(chosen), np.nan)
    for k, i in enumerate(chosen):
        if starts[i + 1] - starts[i] == 4:
            aspects[k] = _aspect(points[starts[i] : starts[i + 1]])
    return aspects


@kernel()
def _aspect(outline: NDArray[np.float64]) -> float:
    """Width / height of an outline, along its chains and across them."""
    top, bottom = _chains(outline)
    width = (length(top, False) + length(bottom, False)) / 2
    height = (_distance(top[-1], bottom[-1]) + _distance(bottom[0], top[0])) / 2
    return (width + _EPSILON) / (height + _EPSILON)


@kernel()
def _chains(outline: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The top from left to right and the bottom from left to right."""
    n = len(outline)
    return outline[: (n + 1) // 2], outline[n // 2 :][::-1]


@kernel()
def _distance(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    return float(np.sqrt((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2))


@kernel()
def _spread(outline: NDArray[np.float64], vertical: bool, centres: NDArray[np.float64]) -> None:
    """Fill in n centres, each in the middle of one nth of the text."""
    top, bottom = _chains(outline)
    if vertical:
        _spread_straight(_point_at(bottom, 0.5), _point_at(top, 0.5), centres)
    elif len(outline) == 4:
        left, right = _middle(top[0], bottom[0]), _middle(top[1], bottom[1])
        _spread_straight(left, right, centres)
    else:
        for k in range(len(centres)):
            share = (k + 0.5) / len(centres)
            # One by one: what assigns a row takes numba seconds to compile.
            x, y = _middle(_point_at(top, share), _point_at(bottom, share))
            centres[k, 0], centres[k, 1] = x, y


@kernel()
def _spread_straight(
    start: tuple[float, float], end: tuple[float, float], centres: NDArray[np.float64]
) -> None:
    for axis in range(2):
        # In this order of operations, as the release: centres on an edge decide by their last bit.
        unit = (end[axis] - start[axis]) / max(len(centres), 1)
        for k in range(len(centres)):
            centres[k, axis] = start[axis] + unit / 2 + unit * k


@kernel()
def _middle(p: Point, q: Point) -> tuple[float, float]:
    return (p[0] + q[0]) / 2, (p[1] + q[1]) / 2


@kernel()
def _point_at(chain: NDArray[np.float64], share: float) -> tuple[float, float]:
    """The point at a share (0 to 1) of a chain's length."""
    if len(chain) == 2 and share == 0.5:
        return _middle(chain[0], chain[1])
    left = share * length(chain, False)
    for i in range(len(chain) - 1):
        step = _distance(chain[i], chain[i + 1])
        if left <= step and step > 0.0:
            along = left / step
            return (
                chain[i, 0] + (chain[i + 1, 0] - chain[i, 0]) * along,
                chain[i, 1] + (chain[i + 1, 1] - chain[i, 1]) * along,
            )
        left -= step
    return chain[-1, 0], chain[-1, 1]
