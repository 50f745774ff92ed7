"""Sweeps that are played through: what early stopping saves, and what it cannot."""

import pytest

from detector.planning.stopping import SweepCourse, simulate_sweep
from detector.search.hyperband import Hyperband

RULE = Hyperband(min_iter=5)


def test_without_a_rule_every_trial_is_trained_to_its_end() -> None:
    assert simulate_sweep(None, 6, 20, 2, seed=0) == SweepCourse(epochs=120, rounds=60)


def test_agents_beyond_the_trials_gain_nothing() -> None:
    assert simulate_sweep(None, 3, 20, 8, seed=0) == SweepCourse(epochs=60, rounds=20)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("agents", [1, 4, 16])
def test_a_trial_takes_the_rules_first_band_at_least(agents: int, seed: int) -> None:
    course = simulate_sweep(RULE, 40, 20, agents, seed)
    assert 40 * 5 < course.epochs < 40 * 20
    assert course.epochs / agents <= course.rounds < course.epochs / agents + 20


def test_the_shorter_the_first_band_the_shorter_the_sweep() -> None:
    epochs = [
        simulate_sweep(Hyperband(min_iter=band), 40, 27, 4, seed=1).epochs for band in (1, 3, 9)
    ]
    assert epochs == sorted(epochs)
