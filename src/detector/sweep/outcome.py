"""What a sweep has come to: the one document from the selection to the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from detector.choosing.bootstrap import Interval
from detector.choosing.ranking import Choice
from detector.search.hyperband import Goal
from detector.sweep.best import best_trial, override_words, scored_trials
from detector.sweep.protocol import Sweep
from detector.sweep.trial import TrialRecord
from detector.sweepfile.allowed import refuse_foreign_values
from detector.sweepfile.space import Extent


@dataclass(frozen=True)
class SweepOutcome:
    """A sweep's trials, the best of them, and why it is the best.

    Attributes:
        id: of the sweep.
        name: that the sweep file gives it.
        trains_detector: whether it trains the detector, rather than a program of the user's own.
        metric, goal: what the sweep goes by, by its key, and in which direction.
        trials: all of the sweep, whatever became of them, by number.
        rungs: after how many values of the metric trials are compared.
        choice: the trial that was selected, and the reasons; None before the selection.
        kept_epoch: the epoch, from 1, whose weights the selected trial keeps; None where it was
            not selected by the pages that these weights were measured on.
        extents: where each parameter was searched, by its name.
    """

    id: str
    name: str | None
    trains_detector: bool
    metric: str
    goal: Goal
    trials: Sequence[TrialRecord]
    rungs: tuple[int, ...]
    choice: Choice | None = None
    kept_epoch: int | None = None
    extents: Mapping[str, Extent] = field(default_factory=dict)

    @classmethod
    def so_far(cls, sweep: Sweep) -> "SweepOutcome":
        """What a sweep has come to by now, with no trial selected.

        Raises:
            ConfigError: a trial that counts has values that the sweep file does not allow.
        """
        spec, trials = sweep.spec, sweep.trials()
        for trial in scored_trials(trials):
            refuse_foreign_values(spec, trial.params)
        return cls(
            id=sweep.id,
            name=spec.name,
            trains_detector=spec.trains_detector,
            metric=spec.metric.name,
            goal=spec.metric.goal,
            trials=trials,
            rungs=sweep.rungs(),
            extents={name: values.extent() for name, values in spec.parameters.items()},
        )

    @cached_property
    def best(self) -> TrialRecord | None:
        """The selected trial; before the selection the one with the best value. None where no
        trial has ended with a score."""
        if self.choice is None:
            return best_trial(self.trials, self.goal)
        return self.trial(self.choice.trial)

    def trial(self, number: int) -> TrialRecord:
        """The trial of a number."""
        return next(trial for trial in self.trials if trial.number == number)

    @property
    def epoch(self) -> int | None:
        """The epoch of `value`, from 1."""
        point = self.best.best(self.goal) if self.best else None
        return self.kept_epoch or (point[0] if point else None)

    @property
    def value(self) -> float | None:
        """What the weights that the best trial keeps reach; where trials were not compared by
        pages, the best of its epochs."""
        if self.interval:
            return self.interval.value
        point = self.best.best(self.goal) if self.best else None
        return point[1] if point else None

    @property
    def interval(self) -> Interval | None:
        """`value` with its 95 % interval; None where trials were not compared by pages."""
        return self.choice.chosen.score if self.choice and self.choice.standings else None

    @property
    def reasons(self) -> Sequence[str]:
        """Why this trial, in sentences; none before the selection."""
        return self.choice.reasons if self.choice else ()

    @property
    def overrides(self) -> list[str]:
        """The best trial's parameters as words for the command line."""
        return override_words(self.best.params) if self.best else []

    def as_plain(self) -> dict[str, Any]:
        """The best trial and why, as a person or another program reads it."""
        interval = self.interval
        return {
            "trial": self.best.number if self.best else None,
            "params": dict(self.best.params) if self.best else {},
            "metric": self.metric,
            "value": self.value,
            "epoch": self.epoch,
            "overrides": self.overrides,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "reasons": list(self.reasons),
        }
