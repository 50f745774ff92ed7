"""The ratios that scores are made of, for numbers and arrays, within their bounds to the bit."""

from typing import overload

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@overload
def share(part: float, whole: float) -> float: ...
@overload
def share(part: Array, whole: Array) -> Array: ...
def share(part: float | Array, whole: float | Array) -> float | Array:
    """`part` of `whole`; 0 where the part is negative or the whole is 0.

    >>> share(1, 4), share(-1, 4), share(0, 0)
    (0.25, 0.0, 0.0)
    """
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    found = np.divide(np.maximum(part, 0), whole, out=np.zeros_like(part), where=whole > 0)
    return _like(found)


@overload
def harmonic_mean(one: float, other: float) -> float: ...
@overload
def harmonic_mean(one: Array, other: Array) -> Array: ...
def harmonic_mean(one: float | Array, other: float | Array) -> float | Array:
    """Harmonic mean of two shares, which never lies outside of the two; 0 where both are 0.

    >>> harmonic_mean(0.8, 0.8), harmonic_mean(1.0, 0.0)
    (0.8, 0.0)
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    formula = share(2 * one * other, one + other)
    # The three roundings of the formula can add up to a last bit: 0.8 and 0.8 give more than 0.8.
    return _like(np.clip(formula, np.minimum(one, other), np.maximum(one, other)))


def mean(values: list[float]) -> float:
    """Arithmetic mean, which never lies outside of the values; 0 without any.

    >>> mean([0.1, 0.1, 0.1]), mean([])
    (0.1, 0.0)
    """
    if not values:
        return 0.0
    return min(max(sum(values) / len(values), min(values)), max(values))


def found_and_outlined(cleval: float, iou: float) -> float:
    """How well text is found and outlined, of both H-Means. CLEval, which counts twice, says what
    was found and barely how tightly; matches by IoU say both.

    >>> round(found_and_outlined(0.99, 0.93), 2)
    0.97
    """
    return (2 * cleval + iou) / 3


def _like(found: Array) -> float | Array:
    """An array of no dimension as the number that it holds."""
    return found if found.ndim else float(found)
