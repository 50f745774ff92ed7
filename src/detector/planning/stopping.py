"""How many epochs a sweep will train, its early stopping included: played through, not guessed.

The rule is the sweep file's own (`detector.search.hyperband`). It compares ranks only, so curves
whose ranks change as those of real trainings do give its course without any training.
"""

from dataclasses import dataclass

import numpy as np

from detector.search.hyperband import Hyperband

_NOISE = 0.5
"""Standard deviation of an epoch's score within a trial, where that between trials is 1. It is
assumed, not measured. The rule keeps a share of the ranks, so that the course depends on it very
little."""


@dataclass(frozen=True)
class SweepCourse:
    """How a sweep went.

    Attributes:
        epochs: trained by all its trials.
        rounds: how long it took, in epochs of one agent.
    """

    epochs: int
    rounds: int


def simulate_sweep(
    rule: Hyperband | None, trials: int, max_epochs: int, agents: int, seed: int
) -> SweepCourse:
    """Play a sweep through, with trials of random quality and agents of the same speed.

    Args:
        rule: what stops trials early; None for nothing.
        trials: how many there are.
        max_epochs: of a trial that is not stopped.
        agents: how many work at once.
        seed: of the trials' curves.
    """
    if rule is None:
        rule = Hyperband(min_iter=max_epochs + 1)
    rng = np.random.default_rng(seed)
    quality = rng.standard_normal(trials)[:, None]
    curves = (quality + _NOISE * rng.standard_normal((trials, max_epochs))).tolist()
    seen: list[list[float]] = []
    working: list[int] = []
    rounds = 0
    while working or len(seen) < trials:
        while len(working) < agents and len(seen) < trials:
            working.append(len(seen))
            seen.append([])
        rounds += 1
        for trial in list(working):
            history = seen[trial]
            history.append(curves[trial][len(history)])
            if len(history) == max_epochs or rule.should_stop(history, seen, "maximize"):
                working.remove(trial)
    return SweepCourse(sum(map(len, seen)), rounds)
