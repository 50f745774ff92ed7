"""From the seconds of a step to the hours of a run. Arithmetic alone; what it takes is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.config.schema import Config
from detector.data.folds import SWEEP_FOLD, Folds
from detector.errors import SweepError
from detector.export.bits import Precision
from detector.planning.stopping import simulate_sweep
from detector.sweepfile.spec import SweepSpec

if TYPE_CHECKING:  # It loads torch, which takes ten times as long as the rest.
    from detector.planning.throughput import Throughput

_SIMULATIONS = 40
_PERCENTILES = (5, 50, 95)
_HOUR_S = 3600


@dataclass(frozen=True)
class Range:
    """Hours: the middle of what may happen, and where nine tenths of it lie."""

    low: float
    middle: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.middle + other.middle, self.high + other.high)

    def __mul__(self, factor: float) -> "Range":
        return Range(self.low * factor, self.middle * factor, self.high * factor)


@dataclass(frozen=True)
class Work:
    """What a run consists of, in seconds on one device and in numbers.

    Attributes:
        epoch_seconds: of one epoch, its validation included.
        start_seconds: of a training before its first epoch.
        trials: of the sweep.
        max_epochs: of a training.
        folds: that are trained after the sweep; one more is the best trial itself.
        rescored: trainings at most that decide between trials that tie.
        ensemble_seconds: of measuring all candidates, at most.
    """

    epoch_seconds: float
    start_seconds: float
    trials: int
    max_epochs: int
    folds: int
    rescored: int
    ensemble_seconds: float

    @classmethod
    def of(
        cls,
        measured: "Throughput",
        config: Config,
        folds: Folds,
        spec: SweepSpec,
        trials: int | None = None,
    ) -> "Work":
        """The work of a sweep over `config` on `folds`.

        Args:
            trials: in place of the sweep file's own limit.

        Raises:
            SweepError: nothing says how many trials there are.
        """
        trials = trials or spec.trial_limit
        if trials is None:
            raise SweepError(
                "the sweep has no limit",
                where="run_cap",
                remedy="give the sweep file a run_cap, or say --trials",
            )
        crops = len(folds.training(SWEEP_FOLD)) * config.data.crops_per_page
        batch = config.data.batch_size * config.trainer.accumulate_grad_batches
        steps = max(1, crops // batch)
        validated = len(folds.validation(SWEEP_FOLD)) * measured.page_seconds
        count = len(config.folds.trained)
        # Each fold's model on its own pages.
        pages = len(folds.training(None)) + passes_of_the_ensemble(config) * len(folds.held_out)
        return cls(
            epoch_seconds=steps * measured.step_seconds + validated,
            start_seconds=measured.start_seconds,
            trials=trials,
            max_epochs=config.trainer.max_epochs,
            folds=count - 1,
            rescored=config.folds.rescore,
            ensemble_seconds=pages * measured.page_seconds,
        )

    @property
    def training_hours(self) -> float:
        """Of one training to its last epoch."""
        return (self.start_seconds + self.max_epochs * self.epoch_seconds) / _HOUR_S


def passes_of_the_ensemble(config: Config) -> int:
    """How often a network goes over the held-out pages, at most: each fold's alone, their means of
    weights, and all together twice (mean of maps, consensus), in each precision."""
    count = len(config.folds.trained)
    return len(Precision) * (count + (count - 1) + 2 * count)


@dataclass(frozen=True)
class Estimate:
    """A run with some number of agents.

    Attributes:
        agents: with a GPU each.
        sweep, folds, ensemble: hours of these parts; the choice between trials counts to `folds`.
        gpu_hours: of all together.
        gpus: that are in use at once, at most.
    """

    agents: int
    sweep: Range
    folds: Range
    ensemble: float
    gpu_hours: Range
    gpus: int

    @property
    def total(self) -> Range:
        """Hours from the first trial to the model."""
        return self.sweep + self.folds + Range(self.ensemble, self.ensemble, self.ensemble)


def estimate(work: Work, spec: SweepSpec, agents: int, gpus_per_fold: int = 1) -> Estimate:
    """How long a run takes.

    A fold on several GPUs is taken to be as many times as fast, which is the best that can be.
    As many folds are trained at once as `agents` GPUs allow.
    """
    rule = spec.early_terminate.rule() if spec.early_terminate else None
    courses = [
        simulate_sweep(rule, work.trials, work.max_epochs, agents, seed)
        for seed in range(_SIMULATIONS)
    ]
    starts = work.start_seconds * work.trials
    sweep_gpu = _range([starts + c.epochs * work.epoch_seconds for c in courses])
    waves_of_starts = work.start_seconds * -(-work.trials // agents)
    sweep = _range([waves_of_starts + c.rounds * work.epoch_seconds for c in courses])

    at_once = max(1, agents // gpus_per_fold)
    training = work.training_hours
    trained = training / gpus_per_fold * -(-work.folds // at_once)
    choice = Range(0, work.rescored / 2, work.rescored) * training
    return Estimate(
        agents=agents,
        sweep=sweep,
        folds=choice + Range(trained, trained, trained),
        ensemble=work.ensemble_seconds / _HOUR_S,
        gpu_hours=sweep_gpu + choice + Range(1, 1, 1) * (work.folds * training),
        gpus=max(agents, gpus_per_fold * min(at_once, max(1, work.folds))),
    )


def _range(seconds: Sequence[float]) -> Range:
    low, middle, high = np.percentile(seconds, _PERCENTILES) / _HOUR_S
    return Range(float(low), float(middle), float(high))
