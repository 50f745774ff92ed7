"""How far a trial's rank at a rung can be trusted, learned from the sweep's own finished trials.

Where curves keep their order a bad start is a bad end, and a trial may be ended early. Where good
trials rise late it says nothing. Which of the two a sweep is shows in its whole curves: the rank
correlation (Spearman 1904) between their best values at the rung and their best values at the end.
Before there are whole curves it is taken for `_BEFORE`, and it counts as `_WEIGHT` curves after.

Finished trials are mostly those that looked good, and good trials are harder to tell apart than
all are. So that the correlation is not learned from them alone, one trial in `WITNESS_EVERY` is
never compared.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from detector.search.curves import Trial
from detector.search.hyperband import Goal
from detector.search.rungs import late_rungs, rungs

WITNESS_EVERY = 16
"""One trial in so many is trained to its end, whatever it shows, unless it collapses."""

_ODDS = 15.0
"""With full trust a new trial must promise so many times the improvement of a running one."""
_POWER = 4
_LEAST = 0.1
"""With less trust no trial is ended."""
_ENOUGH = 0.5
"""With so much trust in an early rung the late ones are not needed."""

_BEFORE = 0.9
_WEIGHT = 6
_FEWEST_CURVES = 3


def is_witness(number: int) -> bool:
    """Whether a trial is one that is trained to its end.

    >>> [number for number in range(40) if is_witness(number)]
    [15, 31]
    """
    return number % WITNESS_EVERY == WITNESS_EVERY - 1


def log_odds(trials: Sequence[Trial], goal: Goal, rung: int, horizon: int) -> float:
    """Logarithm of the odds that end a trial at a rung: how many times the improvement of the
    trial another one must promise. Infinite where the rung is none, or is not trusted.

    Args:
        horizon: epochs of a whole trial.
    """
    early, late = rungs(horizon), late_rungs(horizon)
    if rung not in (*early, *late):
        return math.inf
    if rung not in early and any(trust(trials, goal, mark, horizon) >= _ENOUGH for mark in early):
        # Late comparisons end trials that would show what happens in the last epochs.
        return math.inf
    trusted = trust(trials, goal, rung, horizon)
    return math.log(_ODDS) - _POWER * math.log(trusted) if trusted > _LEAST else math.inf


def trust(trials: Sequence[Trial], goal: Goal, rung: int, horizon: int) -> float:
    """How well the rank after `rung` values predicts the last one: 1 for wholly, 0 for not at all
    or the wrong way."""
    sign = 1.0 if goal == "maximize" else -1.0
    whole = [
        sign * np.array([value for _, value in sorted(trial.curve.items())])
        for trial in trials
        if trial.state == "finished" and len(trial.curve) >= horizon
    ]
    if len(whole) < _FEWEST_CURVES:
        return _BEFORE
    early = rankdata([curve[:rung].max() for curve in whole])
    final = rankdata([curve.max() for curve in whole])
    spread = early.std() * final.std()
    # Equal values have no order, early or late: nothing is learned from them.
    seen = np.cov(early, final, bias=True)[0, 1] / spread if spread else _BEFORE
    together = (_WEIGHT * _BEFORE + len(whole) * seen) / (_WEIGHT + len(whole))
    return float(min(max(together, 0.0), 1.0))
