"""The engines that are compared: detsweep's search, and its peers where they are installed."""

import logging
import math
import random
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna

from benchmarks.sweep.problems import EPOCHS, Curve, Params, Problem
from detector.search.adaptive import AdaptiveSearch
from detector.search.axes import Coordinate
from detector.search.curves import State, Trial
from detector.sweep.backends.searching import distribution_of
from detector.sweepfile import space

_FIRST_BAND = 5

Point = Mapping[str, Coordinate]


class Detsweep:
    """`AdaptiveSearch`, as a sweep with method bayes and `--stopping adaptive` runs it."""

    def __init__(self, problem: Problem, seed: int):
        self._space = problem.space
        self._search = AdaptiveSearch(space.axes(problem.space), "maximize", EPOCHS, seed)
        self._trials: dict[int, Trial] = {}

    def ask(self, number: int) -> Params:
        """The values of trial `number`."""
        point = self._search.suggest(list(self._trials.values()), number)
        self._trials[number] = Trial(number, point, {}, "running")
        return space.values(self._space, point)

    def report(self, number: int, value: float) -> bool:
        """Take in the value of a trial's next epoch; True ends the trial there."""
        trial = self._trials[number]
        curve = {**trial.curve, len(trial.curve) + 1: value}
        self._trials[number] = replace(trial, curve=curve)
        return self._search.should_stop(number, list(self._trials.values()))

    def end(self, number: int) -> None:
        """The trial gets no further epoch."""
        trial = self._trials[number]
        state: State = "finished" if len(trial.curve) == EPOCHS else "stopped"
        self._trials[number] = replace(trial, state=state)

    def remember(self, point: Point, values: Curve) -> None:
        """Take in a trial that has ended."""
        curve = dict(enumerate(values.tolist(), 1))
        number = len(self._trials)
        self._trials[number] = Trial(number, point, curve, "running")
        self.end(number)


class WAndB:
    """W&B's own engine, the package `sweeps`: bayes with hyperband and min_iter 5, as in
    `sweeps/hrnet_w44_1280.yaml`. A trial that it stops counts as finished, and at once."""

    def __init__(self, problem: Problem, seed: int):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import sweeps  # noqa: PLC0415
        logging.getLogger("sweeps").setLevel(logging.ERROR)
        self._sweeps: Any = sweeps  # untyped
        self._space = problem.space
        # The engine draws from the global generators.
        np.random.seed(seed)
        random.seed(seed)
        self._config = dict(
            self._sweeps.SweepConfig(
                {
                    "method": "bayes",
                    "metric": {"name": "score", "goal": "maximize"},
                    "parameters": {n: _w_and_b(d) for n, d in problem.space.items()},
                    "early_terminate": {
                        "type": "hyperband",
                        "min_iter": _FIRST_BAND,
                        "strict": True,
                    },
                }
            )
        )
        self._runs: dict[int, Any] = {}
        self._stopped: set[str] = set()

    def ask(self, number: int) -> Params:
        """The values of trial `number`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = self._sweeps.next_run(self._config, list(self._runs.values()))
        run.name, run.state = str(number), self._sweeps.RunState.running
        self._runs[number] = run
        return {name: entry["value"] for name, entry in run.config.items()}

    def report(self, number: int, value: float) -> bool:
        """Take in the value of a trial's next epoch; True ends the trial there."""
        run = self._runs[number]
        run.history.append({"score": value})
        run.summary_metrics["score"] = value
        if len(run.history) >= _FIRST_BAND:
            stopped = self._sweeps.stop_runs(self._config, list(self._runs.values()))
            self._stopped.update(run.name for run in stopped)
        return str(number) in self._stopped

    def end(self, number: int) -> None:
        """The trial gets no further epoch."""
        self._runs[number].state = self._sweeps.RunState.finished

    def remember(self, point: Point, values: Curve) -> None:
        """Take in a trial that has ended."""
        params = space.values(self._space, point)
        history = [{"score": value} for value in values.tolist()]
        self._runs[len(self._runs)] = self._sweeps.SweepRun(
            name=str(len(self._runs)),
            config={name: {"value": value} for name, value in params.items()},
            history=history,
            summary_metrics=history[-1],
            state=self._sweeps.RunState.finished,
        )


class OptunaTPE:
    """Optuna's default sampler. It ends no trial: how long it takes to suggest is compared."""

    def __init__(self, problem: Problem, seed: int):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = problem.space
        self._axes = {
            name: distribution_of(axis) for name, axis in space.axes(problem.space).items()
        }
        sampler = optuna.samplers.TPESampler(seed=seed)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._trials: dict[int, optuna.Trial] = {}
        self._best: dict[int, float] = {}

    def ask(self, number: int) -> Params:
        """The values of trial `number`."""
        self._trials[number] = self._study.ask(self._axes)
        return space.values(self._space, self._trials[number].params)

    def report(self, number: int, value: float) -> bool:
        """Take in the value of a trial's next epoch; True ends the trial there."""
        self._best[number] = max(value, self._best.get(number, -math.inf))
        return False

    def end(self, number: int) -> None:
        """The trial gets no further epoch."""
        self._study.tell(self._trials[number], self._best[number])

    def remember(self, point: Point, values: Curve) -> None:
        """Take in a trial that has ended."""
        ended = optuna.trial.create_trial(
            params=dict(point), distributions=self._axes, value=float(values.max())
        )
        self._study.add_trial(ended)


class Random:
    """Configurations drawn from the prior, all trained to their end."""

    def __init__(self, problem: Problem, seed: int):
        self._space = problem.space
        self._seed = seed

    def ask(self, number: int) -> Params:
        """The values of trial `number`."""
        drawn = space.draw(self._space, np.random.default_rng([self._seed, number]))
        return space.values(self._space, drawn)

    def report(self, number: int, value: float) -> bool:  # noqa: ARG002
        """End no trial."""
        return False

    def end(self, number: int) -> None:
        """Learn nothing."""

    def remember(self, point: Point, values: Curve) -> None:
        """Learn nothing."""


ENGINES: dict[str, type[Detsweep] | type[WAndB] | type[OptunaTPE] | type[Random]] = {
    "detsweep": Detsweep,
    "w&b": WAndB,
    "optuna tpe": OptunaTPE,
    "random": Random,
}


def _w_and_b(distribution: space.Distribution) -> dict[str, object]:
    return {name: value for name, value in distribution.model_dump().items() if value is not None}
