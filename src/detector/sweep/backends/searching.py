"""Which values a trial gets and whether it ends early, where the record is an Optuna storage.

The search learns from the storage alone, so that any agent may ask it, and agents need not talk to
each other. Optuna is the record, not the search: that is detsweep's own (see `detector.search`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from detector.search.axes import Axis, Choice, Coordinate
from detector.search.curves import State, Trial
from detector.search.hyperband import finite_values
from detector.search.rungs import late_rungs, rungs
from detector.sweep.backends.attempts import Slot
from detector.sweep.backends.study import Study
from detector.sweep.ending import epochs_of_a_trial, goes_by_own_rule
from detector.sweep.trial import Stopping
from detector.sweepfile import space
from detector.sweepfile.spec import SweepSpec

if TYPE_CHECKING:
    from detector.search.adaptive import AdaptiveSearch

_STATES: Mapping[str, State] = {
    "running": "running",
    "waiting": "running",
    "finished": "finished",
    "stopped": "stopped",
}


@dataclass(frozen=True)
class Searching:
    """The search of one sweep.

    Attributes:
        stopping: what ends trials early, see `Backend.create`.
        max_epochs: a trial's epochs where the sweep file does not say; None where nobody knows.
    """

    study: Study
    stopping: Stopping
    max_epochs: int | None

    def choose_params(self, number: int, trial_id: int) -> dict[str, object]:
        """The values of trial `number`; where they are drawn, the point is recorded for the search.

        Args:
            trial_id: Optuna's own.
        """
        spec = self.study.spec
        if spec.method == "grid":
            return space.grid_point(spec.parameters, number)
        search = self._search if spec.method == "bayes" else None
        if search is not None:
            others = [trial for trial in self._seen() if trial.number != number]
            point = search.suggest(others, number)
        else:
            point = space.draw(spec.parameters, np.random.default_rng([spec.seed, number]))
        self._record(trial_id, point)
        return space.values(spec.parameters, point)

    def is_beaten(self, number: int, curve: Mapping[int, float]) -> bool:
        """Whether early termination ends a trial here.

        Args:
            curve: its own, as far as it has come; the storage may know epochs that it repeats.
        """
        spec = self.study.spec
        if self._goes_by_own_rule:
            return self._is_outshone(number, curve)
        if spec.early_terminate is None:
            return False
        histories = [
            finite_values(curve if slot.number == number else slot.curve)
            for slot in self.study.slots()
        ]
        rule = spec.early_terminate.rule()
        return rule.should_stop(finite_values(curve), histories, spec.metric.goal)

    def rungs(self) -> tuple[int, ...]:
        """After how many values of its metric a trial is compared with others."""
        if not self._goes_by_own_rule:
            return tuple(self.study.spec.bands())
        return (*rungs(self._horizon), *late_rungs(self._horizon)) if self._horizon else ()

    @property
    def _goes_by_own_rule(self) -> bool:
        return goes_by_own_rule(self.study.spec, self.stopping)

    def _is_outshone(self, number: int, curve: Mapping[int, float]) -> bool:
        if self._search is None:
            return False
        trials = self._seen()
        own = next(trial for trial in trials if trial.number == number)
        others = [trial for trial in trials if trial.number != number]
        return self._search.should_stop(number, [*others, replace(own, curve=curve)])

    def _seen(self) -> list[Trial]:
        return seen_by_search(self.study.slots(), self.study.spec)

    @cached_property
    def _horizon(self) -> int | None:
        return epochs_of_a_trial(self.study.spec, self.max_epochs)

    @cached_property
    def _search(self) -> "AdaptiveSearch | None":
        """None where no parameter varies."""
        spec = self.study.spec
        axes = space.axes(spec.parameters)
        if not axes:
            return None
        # It loads scipy, which whoever only reads a sweep does without.
        from detector.search.adaptive import AdaptiveSearch  # noqa: PLC0415

        return AdaptiveSearch(axes, spec.metric.goal, self._horizon, spec.seed)

    def _record(self, trial_id: int, point: Mapping[str, Coordinate]) -> None:
        for name, axis in space.axes(self.study.spec.parameters).items():
            distribution = distribution_of(axis)
            internal = distribution.to_internal_repr(point[name])
            self.study.storage.set_trial_param(trial_id, name, internal, distribution)


def seen_by_search(sweep: Iterable[Slot], spec: SweepSpec) -> list[Trial]:
    """The trials as the search sees them. A failed one has no score, and none is made up for it;
    one that waits for another agent is still under way."""
    axes = space.axes(spec.parameters)
    return [
        Trial(slot.number, slot.current.params, slot.curve, _STATES[slot.state])
        for slot in sweep
        if slot.state in _STATES and slot.current.params.keys() >= axes.keys()
    ]


def distribution_of(axis: Axis) -> BaseDistribution:
    """An axis as Optuna has it."""
    if isinstance(axis, Choice):
        return CategoricalDistribution(axis.labels)
    if axis.integer:
        return IntDistribution(int(axis.low), int(axis.high))
    return FloatDistribution(axis.low, axis.high, log=axis.log)
