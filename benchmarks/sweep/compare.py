"""Paired ratios between two engines, with intervals.

Sweeps of one problem have much in common, so the interval is over problems: the bootstrap draws
problems, with all their seeds (Efron 1979).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep.simulate import Outcome

Key = tuple[str, int]
"""Problem and seed."""

_RESAMPLES = 4000


@dataclass(frozen=True)
class Comparison:
    """Epochs of one engine over those of its peer, in the same sweeps.

    Attributes:
        ratio: geometric mean of the ratios.
        low, high: its 95 % interval over problems.
        wins: share of sweeps in which it took fewer.
    """

    ratio: float
    low: float
    high: float
    wins: float


def compare(
    ours: Mapping[Key, Outcome], peers: Mapping[Key, Outcome], budget: int, *, by_best: bool
) -> Comparison:
    """The comparison over the sweeps that both have run; one that found nothing counts as having
    taken the budget and one epoch."""
    keys = sorted(ours.keys() & peers.keys())
    logs = np.array(
        [
            np.log(epochs(ours[key], budget, by_best=by_best))
            - np.log(epochs(peers[key], budget, by_best=by_best))
            for key in keys
        ]
    )
    problems = np.array([problem for problem, _ in keys])
    means = np.array([logs[problems == problem].mean() for problem in np.unique(problems)])
    low, high = interval_over_problems(means[:, None], lambda drawn: np.exp(drawn[..., 0]))
    return Comparison(float(np.exp(means.mean())), low, high, float((logs < 0).mean()))


def epochs(outcome: Outcome, budget: int, *, by_best: bool) -> int:
    """Epochs until the optimum was found."""
    found = outcome.found_by_best if by_best else outcome.found
    return budget + 1 if found is None else min(found, budget + 1)


def interval_over_problems(
    values: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> tuple[float, float]:
    """95 % interval of a function of means over problems.

    Args:
        values: (problems, k).
        statistic: of means (resamples, k).
    """
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(statistic(values[drawn].mean(axis=1)), [0.025, 0.975])
    return float(low), float(high)
