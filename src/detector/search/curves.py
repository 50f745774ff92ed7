"""Learning curves as a model can compare them: what they have in common, and what they mean.

Two things stand between a metric's values and a Gaussian process. Early epochs lie far below, good
trials close together at the top; on the scale of `deficits` both can be compared. And a training
that diverges says nothing of what its configuration could have reached; such curves are cut off
where they collapse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.search.axes import Coordinate
from detector.search.hyperband import Goal

State = Literal["running", "finished", "stopped"]

CURVES_TO_COMPARE = 4
"""With fewer curves nothing can be said about a new one."""

_BELOW_START = 0.25
_FALL = 0.5
_EPOCHS_OF_COLLAPSE = 2
_TOP_SHARE = 0.2
_SMALLEST_SCALE = 0.01


@dataclass(frozen=True)
class Trial:
    """What the search knows of one trial.

    Attributes:
        point: its coordinates, by parameter.
        curve: the metric after each finished epoch, by epoch from 1; finite values only.
        state: "finished" is one that was trained to its end.
    """

    number: int
    point: Mapping[str, Coordinate]
    curve: Mapping[int, float]
    state: State


@dataclass(frozen=True)
class Curves:
    """Learning curves of some trials, higher is better.

    Attributes:
        trials: whose they are.
        best: best value up to each epoch (trials, epochs); NaN where it is not known.
        collapsed: which trials ended in a collapse (trials,).
    """

    trials: tuple[Trial, ...]
    best: NDArray[np.float64]
    collapsed: NDArray[np.bool_]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where `best` is known (trials, epochs)."""
        return np.isfinite(self.best)

    def deficits(self) -> NDArray[np.float64]:
        """log(1 + deficit / scale), negated, where the deficit is the distance from the best value
        of all and the scale that of the better trials: the upper fifth is compared by
        differences, the rest by ratios. NaN where nothing is known. Mean 0, deviation 1.
        """
        top = np.nanmax(self.best)
        reached = top - np.nanmax(self.best, axis=1)
        floor = max(_SMALLEST_SCALE * reached.max(), np.finfo(float).tiny)
        scale = max(float(np.quantile(reached, _TOP_SHARE)), floor)
        warped = -np.log1p((top - self.best) / scale)
        known = warped[self.known]
        spread = known.std()
        result: NDArray[np.float64] = (warped - known.mean()) / (spread if spread > 0 else 1.0)
        return result


def curves(trials: Sequence[Trial], goal: Goal, horizon: int) -> Curves:
    """The curves of trials that have one.

    Args:
        horizon: epochs of a whole trial; what lies beyond is left out.
    """
    begun = [trial for trial in trials if any(epoch <= horizon for epoch in trial.curve)]
    sign = 1.0 if goal == "maximize" else -1.0
    values = np.full((len(begun), horizon), np.nan)
    for row, trial in zip(values, begun, strict=True):
        for epoch, value in trial.curve.items():
            if epoch <= horizon:
                row[epoch - 1] = sign * value
    collapse = _collapses(values)
    for row, start, trial in zip(values, collapse, begun, strict=True):
        row[start:] = np.nan
        if trial.state == "finished" and start == horizon and np.isnan(row[-1]):
            # Trained to an end of its own: nothing more is to come.
            row[-1] = np.nanmax(row)
    known = np.isfinite(values)
    best = np.maximum.accumulate(np.where(known, values, -np.inf), axis=1)
    return Curves(tuple(begun), np.where(known, best, np.nan), collapse < horizon)


def _collapses(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """The index of the epoch from which each curve lies far below where curves begin, after a fall
    by half of the range of all values; the number of epochs where it does not."""
    count, horizon = values.shape
    known = np.isfinite(values)
    if count < CURVES_TO_COMPARE:
        return np.full(count, horizon)
    first = values[np.arange(count), known.argmax(axis=1)]
    low, top = first.min(), np.nanmax(values)
    so_far = np.maximum.accumulate(np.where(known, values, -np.inf), axis=1)
    with np.errstate(invalid="ignore"):  # -inf - nan
        fallen = (values < low - _BELOW_START * np.ptp(first)) & (
            so_far - values > _FALL * (top - low)
        )
    standing = known & ~fallen
    end = horizon - standing[:, ::-1].argmax(axis=1)
    is_over = np.array([row[stop:].sum() for row, stop in zip(fallen, end, strict=True)])
    collapse: NDArray[np.intp] = np.where(is_over >= _EPOCHS_OF_COLLAPSE, end, horizon)
    return collapse
