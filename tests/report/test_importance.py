"""Which parameter mattered, where it is known."""

import numpy as np

from detector.report.importance import FEWEST, parameter_importance
from detector.sweep.trial import TrialRecord
from tests.report.outcomes import a_sweep


def draw_trials(count: int) -> list[TrialRecord]:
    """Trials whose score goes with the learning rate alone."""
    rng = np.random.default_rng(3)
    trials = []
    for number in range(count):
        rate, decay = 10 ** rng.uniform(-4, -2), 10 ** rng.uniform(-5, -2)
        score = 0.95 - 0.1 * abs(np.log10(rate) + 3) + 0.001 * rng.normal()
        params = {"lr": rate, "weight_decay": decay, "name": ("a", "b")[number % 2]}
        trials.append(TrialRecord(number, params, "finished", {1: score}, epoch=1))
    return trials


def test_the_parameter_that_decides_comes_out() -> None:
    shares = {row.parameter: row for row in parameter_importance(a_sweep(draw_trials(40)))}
    assert max(shares, key=lambda name: shares[name].share) == "lr"
    assert sum(row.share for row in shares.values()) == 1
    assert shares["lr"].low > shares["name"].share
    assert all(0 <= row.low <= row.high <= 1 for row in shares.values())


def test_of_few_trials_nothing_is_said() -> None:
    assert parameter_importance(a_sweep(draw_trials(FEWEST - 1))) == []
    assert len(parameter_importance(a_sweep(draw_trials(FEWEST)))) == 3
