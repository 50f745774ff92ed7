"""A sweep of eight agents in simulated time: every epoch of every trial is paid for.

Agents are a little faster or slower than each other, and so are epochs, so that they ask and report
out of step.
"""

import heapq
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from benchmarks.sweep.problems import EPOCHS, Curve, Optimum, Params, Problem

AGENTS = 8
CHECKPOINTS = (160, 320, 640)


class Engine(Protocol):
    """What chooses configurations and ends trials early."""

    def ask(self, number: int) -> Params:
        """The parameters of trial `number`; the numbers rise by one."""

    def report(self, number: int, value: float) -> bool:
        """Take in the value after the trial's next epoch; True ends the trial here."""

    def end(self, number: int) -> None:
        """The trial has ended, by the engine's own decision or after its last epoch."""


@dataclass(frozen=True)
class Outcome:
    """What one sweep found.

    Attributes:
        found: epochs paid until some run was within the target of the best level, by its noise-free
            value; None where none was.
        found_by_best: the same for the run that had shown the best value, which a person would
            choose.
        trials: how many were begun.
        missing: distance of the best run from the best level, by epochs paid (see CHECKPOINTS).
        missing_by_best: that of the run which had shown the best value.
    """

    found: int | None
    found_by_best: int | None
    trials: int
    missing: dict[int, float]
    missing_by_best: dict[int, float]

    def to_dict(self) -> dict[str, object]:
        """Plain values, as JSON holds them."""
        return asdict(self)


@dataclass
class _Run:
    shows: Curve
    true: Curve
    epoch: int = 0
    best_shown: float = -np.inf

    @property
    def best_true(self) -> float:
        return float(self.true[: self.epoch].max())


def simulate(
    problem: Problem, optimum: Optimum, engine: Engine, seed: int, budget: int, *, to_end: bool
) -> Outcome:
    """Run one sweep.

    Args:
        budget: epochs to pay.
        to_end: go on after both `found` and `found_by_best` are known.
    """
    rng = np.random.default_rng([seed, 99])
    pace = rng.uniform(0.95, 1.05, AGENTS)
    runs: list[_Run] = []
    queue: list[tuple[float, int, int]] = []

    def begin(agent: int, now: float) -> None:
        number = len(runs)
        params = engine.ask(number)
        of_trial = np.random.default_rng([seed, number, 5])
        runs.append(_Run(problem.observe(params, of_trial), problem.curve(params)))
        heapq.heappush(queue, (now + pace[agent] * of_trial.lognormal(0, 0.05), agent, number))

    for agent in range(AGENTS):
        begin(agent, 0.01 * agent)
    found = found_by_best = None
    missing: dict[int, float] = {}
    missing_by_best: dict[int, float] = {}
    best_true, leader = -np.inf, 0
    for paid in range(1, budget + 1):
        now, agent, number = heapq.heappop(queue)
        run = runs[number]
        value = float(run.shows[run.epoch])
        run.epoch += 1
        run.best_shown = max(run.best_shown, value)
        best_true = max(best_true, run.best_true)
        if run.best_shown > runs[leader].best_shown or not runs[leader].epoch:
            leader = number
        left, left_by_best = optimum.level - best_true, optimum.level - runs[leader].best_true
        found = paid if found is None and left <= optimum.target else found
        if found_by_best is None and left_by_best <= optimum.target:
            found_by_best = paid
        if paid in CHECKPOINTS:
            missing[paid], missing_by_best[paid] = left, left_by_best
        if found_by_best is not None and found is not None and not to_end:
            break
        stopped = engine.report(number, value)
        if stopped or run.epoch == EPOCHS:
            engine.end(number)
            begin(agent, now)
        else:
            heapq.heappush(queue, (now + pace[agent] * rng.lognormal(0, 0.05), agent, number))
    return Outcome(found, found_by_best, len(runs), missing, missing_by_best)
