"""Sweeps in an Optuna storage: which trial an agent is given, and with which parameters.

How the storage's content is read as a sweep stands in `attempts`, what becomes of a trial that an
agent holds in `held`, how each kind of storage is opened in `storages`.

Optuna is the record, not the search: that is detsweep's own (see `detector.search`). Each
trial keeps its coordinates as Optuna's parameters and its curve as intermediate values; "finished"
is COMPLETE with the best value of the curve, "stopped" is PRUNED, and a trial that ended without a
finite value is FAIL. So what else reads the storage, a dashboard say, sees a study like any other.
"""

import secrets
import socket
import string
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from detector.errors import SweepError
from detector.search.adaptive import AdaptiveSearch
from detector.search.axes import Axis, Choice, Coordinate
from detector.search.curves import Trial
from detector.search.hyperband import finite_values
from detector.search.rungs import rungs
from detector.sweep.backends import Idle, RunningTrial, Stopping, attempts
from detector.sweep.backends.held import BEATS_IN_A_LEASE, HeldTrial
from detector.sweep.backends.patience import StoragePatience, patiently
from detector.sweep.backends.searching import epochs_of_a_trial, new_search, seen_by_search
from detector.sweep.trial import TrialRecord
from detector.sweepfile import space
from detector.sweepfile.spec import SweepSpec, read_sweep

_SOURCE, _STOPPED = "sweep_file", "stopped"
_STOPPING, _MAX_EPOCHS = "stopping", "max_epochs"
_DRAINING, _NOW = "draining", "now"
_ID_LENGTH = 8
_LONGEST_POLL = 2.0
"""Seconds; an agent that waits holds up whatever comes after the sweep."""
_IDLE_LAPSES = 3
"""Attempts in a row that may die before they finish an epoch: beyond it the trial itself kills
its agents, for example by its use of memory."""


class OptunaBackend:
    """Sweeps in one storage; a sweep is a study.

    Args:
        storage: as `open_storage` gives it.
        lease_seconds: an agent without a sign of life for so long is taken for dead.
        most_agents: one agent more is refused; None for any number.
        patience_seconds: how long a storage that does not answer is asked again.
    """

    def __init__(
        self,
        storage: BaseStorage,
        lease_seconds: float,
        *,
        most_agents: int | None = None,
        patience_seconds: float,
    ):
        self.storage = storage
        self.lease_seconds = lease_seconds
        self.node = socket.gethostname()
        self.poll_seconds = min(_LONGEST_POLL, lease_seconds / (2 * BEATS_IN_A_LEASE))
        self._specs: dict[str, SweepSpec] = {}
        self._searches: dict[str, AdaptiveSearch | None] = {}
        self._stoppings: dict[str, Stopping] = {}
        self._study_ids: dict[str, int] = {}
        self._most_agents = most_agents
        self._was_given_trials = False
        self._watch = attempts.LeaseWatch(lease_seconds)
        # Who could not write cannot tell whether others could: their silence proves nothing.
        self.patience = StoragePatience(patience_seconds, self.poll_seconds, self._watch.forget)

    @patiently
    def create(
        self, spec: SweepSpec, *, stopping: Stopping = "file", max_epochs: int | None = None
    ) -> str:
        sweep_id = "".join(
            secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_ID_LENGTH)
        )
        study = optuna.create_study(
            storage=self.storage, study_name=sweep_id, direction=spec.metric.goal
        )
        study.set_user_attr(_STOPPING, stopping)
        study.set_user_attr(_MAX_EPOCHS, max_epochs)
        # Last, since a study without it is no sweep yet.
        study.set_user_attr(_SOURCE, spec.source)
        return sweep_id

    @patiently
    def spec(self, sweep_id: str) -> SweepSpec:
        if sweep_id not in self._specs:
            source = self.storage.get_study_user_attrs(self.study_id(sweep_id)).get(_SOURCE)
            if source is None:
                raise SweepError(
                    f"the study {sweep_id!r} is not a sweep of detsweep",
                    remedy="give the id that `detsweep sweep init` printed",
                )
            self._specs[sweep_id] = read_sweep(source, f"sweep {sweep_id}")
        return self._specs[sweep_id]

    @patiently
    def trials(self, sweep_id: str) -> list[TrialRecord]:
        return [slot.record() for slot in self.slots(sweep_id)]

    @patiently
    def stop(self, sweep_id: str, *, now: bool = False) -> None:
        self.storage.set_study_user_attr(
            self.study_id(sweep_id), _STOPPED, _NOW if now else _DRAINING
        )

    @patiently
    def is_stopped(self, sweep_id: str) -> bool:
        return self._stop(sweep_id) is not None

    @patiently
    def rungs(self, sweep_id: str) -> tuple[int, ...]:
        if not self._goes_by_own_rule(sweep_id):
            return tuple(self.spec(sweep_id).bands())
        horizon = self._epochs_of_a_trial(sweep_id)
        return rungs(horizon) if horizon else ()

    @patiently
    def ends_now(self, sweep_id: str) -> bool:
        """Whether running trials end at their next report."""
        return self._stop(sweep_id) == _NOW

    @patiently
    def claim(self, sweep_id: str, agent: str) -> RunningTrial | Idle:
        stop = self._stop(sweep_id)
        if stop == _NOW:
            return Idle.DONE
        sweep = self._requeue_the_dead(sweep_id)
        if self._has_no_place(sweep_id, sweep, agent):
            return Idle.UNSURE
        elsewhere, here = self._by_where_they_failed(sweep, agent)
        trial = (
            self._take_first(sweep_id, elsewhere, agent)
            or (self._create(sweep_id, len(sweep), agent) if stop is None else None)
            or self._take_first(sweep_id, here, agent)
        )
        if trial is None:
            return self._why_idle(sweep_id)
        if self._came_too_late(sweep_id, trial):
            trial.release()
            return Idle.UNSURE
        self._was_given_trials = True
        return trial

    @patiently
    def give_back(self, sweep_id: str, number: int, attempt: int, *, died: bool) -> bool:
        slot = self.slots(sweep_id)[number]
        if slot.state != "running" or slot.current.number != attempt:
            return False
        return self._bury(sweep_id, slot) if died else self.requeue(sweep_id, slot, {})

    def study_id(self, sweep_id: str) -> int:
        if sweep_id not in self._study_ids:
            try:
                self._study_ids[sweep_id] = self.storage.get_study_id_from_name(sweep_id)
            except KeyError:
                raise SweepError(
                    f"there is no sweep {sweep_id!r} in this backend",
                    remedy="check the id that `detsweep sweep init` printed, and the backend's URL",
                ) from None
        return self._study_ids[sweep_id]

    def slots(self, sweep_id: str) -> list[attempts.Slot]:
        """The sweep as it stands, every look at which also watches for signs of life."""
        trials = self.storage.get_all_trials(self.study_id(sweep_id), deepcopy=False)
        sweep = attempts.slots(trials, self.spec(sweep_id).trial_limit)
        self._watch.observe(sweep)
        return sweep

    def requeue(self, sweep_id: str, slot: attempts.Slot, changes: Mapping[str, object]) -> bool:
        """Let the trial wait for an agent, from where it is. False where it had ended before."""
        if slot.successor is None:
            waiting = attempts.waiting_copy(slot, changes)
            self.storage.create_new_trial(self.study_id(sweep_id), waiting)
        return self.end(sweep_id, slot.current.number, TrialState.FAIL)

    def _stop(self, sweep_id: str) -> str | None:
        return self.storage.get_study_user_attrs(self.study_id(sweep_id)).get(_STOPPED)

    def _has_no_place(self, sweep_id: str, sweep: list[attempts.Slot], agent: str) -> bool:
        """Whether the storage stands no further agent.

        Raises:
            SweepError: for certain, and this agent has had no place before.
        """
        others = [slot for slot in _running(sweep) if slot.lease.get("agent") != agent]
        if self._most_agents is None or len(others) < self._most_agents:
            return False
        if self._was_given_trials or not all(self._watch.is_alive(slot) for slot in others):
            return True
        raise SweepError(
            f"{self._most_agents} agents work on this sweep, and SQLite stands no more at once",
            where=f"sweep {sweep_id}",
            remedy="for more agents create the sweep on one machine's disk in journal:///FILE, in "
            "postgresql://…, or behind `detsweep sweep serve` as grpc://HOST:PORT",
        )

    def _came_too_late(self, sweep_id: str, trial: HeldTrial) -> bool:
        """Whether agents that asked at the same moment took the last places."""
        if self._most_agents is None:
            return False
        first = sorted(slot.current.number for slot in _running(self.slots(sweep_id)))
        return trial.attempt not in first[: self._most_agents]

    def _by_where_they_failed(
        self, sweep: list[attempts.Slot], agent: str
    ) -> tuple[list[attempts.Slot], list[attempts.Slot]]:
        """The trials that wait: those to take first, and those that failed here, which may do
        better elsewhere. What this machine may be to blame for is left to others while they work.
        """
        waiting = [slot for slot in sweep if slot.state == "waiting"]
        others_work = any(slot.lease.get("node") != self.node for slot in _running(sweep))
        failed_here = [slot for slot in waiting if self.node == slot.failed_on]
        blames_agent = [slot for slot in waiting if agent == slot.failed_by]
        elsewhere = [slot for slot in waiting if slot not in failed_here + blames_agent]
        here = [slot for slot in waiting if slot not in elsewhere]
        return elsewhere, [slot for slot in here if not (others_work and slot in failed_here)]

    def _requeue_the_dead(self, sweep_id: str) -> list[attempts.Slot]:
        """Let the trials of dead agents wait; the sweep as it stands then."""
        sweep = self.slots(sweep_id)
        dead = [slot for slot in _running(sweep) if self._watch.is_dead(slot)]
        for slot in dead:
            self._bury(sweep_id, slot)
        return self.slots(sweep_id) if dead else sweep

    def _bury(self, sweep_id: str, slot: attempts.Slot) -> bool:
        """Let a dead agent's trial wait, or end it where one agent after the other died of it."""
        attrs = slot.current.user_attrs
        advanced = slot.epoch > attrs.get(attempts.FIRST_EPOCH, 0)
        lapses = 1 if advanced else attrs.get(attempts.IDLE_LAPSES, 0) + 1
        if lapses > _IDLE_LAPSES:
            return self._give_up(sweep_id, slot, lapses)
        suspect = {} if advanced else {attempts.FAILED_ON: slot.lease.get("node")}
        return self.requeue(sweep_id, slot, {attempts.IDLE_LAPSES: lapses, **suspect})

    def _give_up(self, sweep_id: str, slot: attempts.Slot, lapses: int) -> bool:
        reason = f"{lapses} agents in a row died before they finished epoch {slot.epoch + 1}"
        number = slot.current.number
        ending = {attempts.REASON: reason, attempts.END: "failed", attempts.ENDED: time.time()}
        return self.end(sweep_id, number, TrialState.FAIL, ending)

    def _take_first(
        self, sweep_id: str, waiting: list[attempts.Slot], agent: str
    ) -> HeldTrial | None:
        for slot in waiting:
            trial_id = self._trial_id(sweep_id, slot.current.number)
            try:
                granted = self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            except UpdateFinishedTrialError:
                granted = False
            if granted:
                return self._hold(sweep_id, slot, agent)
        return None

    def _create(self, sweep_id: str, existing: int, agent: str) -> HeldTrial | None:
        limit = self.spec(sweep_id).trial_limit
        if limit is not None and existing >= limit:
            return None
        study_id = self.study_id(sweep_id)
        started = {attempts.LEASE: self.lease(agent), attempts.STARTED: time.time()}
        trial_id = self.storage.create_new_trial(
            study_id, create_trial(state=TrialState.RUNNING, user_attrs=started)
        )
        attempt = self.storage.get_trial_number_from_id(trial_id)
        everyone = attempts.slots(self.storage.get_all_trials(study_id, deepcopy=False), None)
        created = next(slot for slot in everyone if slot.attempts[0].number == attempt)
        if limit is not None and created.number >= limit:
            self.end(sweep_id, attempt, TrialState.FAIL)
            return None
        return self._hold(sweep_id, created, agent)

    def _hold(self, sweep_id: str, slot: attempts.Slot, agent: str) -> HeldTrial:
        trial_id = self._trial_id(sweep_id, slot.current.number)
        self.storage.set_trial_user_attr(trial_id, attempts.LEASE, self.lease(agent, slot.epoch))
        params = slot.current.user_attrs.get(attempts.PARAMS)
        if params is None:
            params = self._choose_params(sweep_id, slot.number, trial_id)
            self.storage.set_trial_user_attr(trial_id, attempts.PARAMS, params)
        return HeldTrial(self, sweep_id, slot, trial_id, params, agent)

    def lease(
        self, agent: str, epoch: int = 0, beat: int = 0, since: float | None = None
    ) -> dict[str, Any]:
        now = time.time()
        return {
            "agent": agent,
            "node": self.node,
            "seconds": self.lease_seconds,
            "beat": beat,
            "epoch": epoch,
            "since": now if since is None else since,
            "at": now,
        }

    def _choose_params(self, sweep_id: str, number: int, trial_id: int) -> dict[str, object]:
        spec = self.spec(sweep_id)
        if spec.method == "grid":
            return space.grid_point(spec.parameters, number)
        search = self._search(sweep_id) if spec.method == "bayes" else None
        if search is not None:
            point = search.suggest(self._seen_by_search(sweep_id, number), number)
        else:
            point = space.draw(spec.parameters, np.random.default_rng([spec.seed, number]))
        self._record_point(spec, trial_id, point)
        return space.values(spec.parameters, point)

    def is_beaten(self, sweep_id: str, number: int, curve: Mapping[int, float]) -> bool:
        """Whether early termination ends a trial here.

        Args:
            curve: its own, as far as it has come; the storage may know epochs that it repeats.
        """
        spec = self.spec(sweep_id)
        if self._goes_by_own_rule(sweep_id):
            return self._is_outshone(sweep_id, number, curve)
        if spec.early_terminate is None:
            return False
        histories = [
            finite_values(curve if slot.number == number else slot.curve)
            for slot in self.slots(sweep_id)
        ]
        rule = spec.early_terminate.rule()
        return rule.should_stop(finite_values(curve), histories, spec.metric.goal)

    def _goes_by_own_rule(self, sweep_id: str) -> bool:
        spec = self.spec(sweep_id)
        by_default = spec.method == "bayes" and spec.early_terminate is None
        return by_default or self._stopping(sweep_id) == "adaptive"

    def _is_outshone(self, sweep_id: str, number: int, curve: Mapping[int, float]) -> bool:
        search = self._search(sweep_id)
        if search is None:
            return False
        trials = self._seen_by_search(sweep_id)
        own = next(trial for trial in trials if trial.number == number)
        others = [trial for trial in trials if trial.number != number]
        return search.should_stop(number, [*others, replace(own, curve=curve)])

    def _seen_by_search(self, sweep_id: str, chosen_for: int | None = None) -> list[Trial]:
        trials = seen_by_search(self.slots(sweep_id), self.spec(sweep_id))
        return [trial for trial in trials if trial.number != chosen_for]

    def _search(self, sweep_id: str) -> AdaptiveSearch | None:
        if sweep_id not in self._searches:
            horizon = self._epochs_of_a_trial(sweep_id)
            self._searches[sweep_id] = new_search(self.spec(sweep_id), horizon)
        return self._searches[sweep_id]

    def _epochs_of_a_trial(self, sweep_id: str) -> int | None:
        attrs = self.storage.get_study_user_attrs(self.study_id(sweep_id))
        return epochs_of_a_trial(self.spec(sweep_id), attrs.get(_MAX_EPOCHS))

    def _stopping(self, sweep_id: str) -> Stopping:
        if sweep_id not in self._stoppings:
            attrs = self.storage.get_study_user_attrs(self.study_id(sweep_id))
            self._stoppings[sweep_id] = attrs.get(_STOPPING, "file")
        return self._stoppings[sweep_id]

    def _record_point(
        self, spec: SweepSpec, trial_id: int, point: Mapping[str, Coordinate]
    ) -> None:
        for name, axis in space.axes(spec.parameters).items():
            distribution = distribution_of(axis)
            internal = distribution.to_internal_repr(point[name])
            self.storage.set_trial_param(trial_id, name, internal, distribution)

    def _why_idle(self, sweep_id: str) -> Idle:
        sweep = self.slots(sweep_id)
        if any(slot.state == "waiting" for slot in sweep):
            return Idle.UNSURE
        running = _running(sweep)
        if not running:
            return Idle.DONE
        alive = all(self._watch.is_alive(slot) for slot in running)
        return Idle.OTHERS_RUN if alive else Idle.UNSURE

    def _trial_id(self, sweep_id: str, attempt: int) -> int:
        study_id = self.study_id(sweep_id)
        return self.storage.get_trial_id_from_study_id_trial_number(study_id, attempt)

    def end(
        self,
        sweep_id: str,
        attempt: int,
        state: TrialState,
        attrs: Mapping[str, object] | None = None,
        value: float | None = None,
    ) -> bool:
        """End an attempt, unless it has ended already: the first to do so decides."""
        trial_id = self._trial_id(sweep_id, attempt)
        try:
            for key, content in (attrs or {}).items():
                self.storage.set_trial_user_attr(trial_id, key, content)
            values = None if value is None else [value]
            return self.storage.set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            return False


def _running(sweep: list[attempts.Slot]) -> list[attempts.Slot]:
    return [slot for slot in sweep if slot.state == "running"]


def distribution_of(axis: Axis) -> BaseDistribution:
    """An axis as Optuna has it."""
    if isinstance(axis, Choice):
        return CategoricalDistribution(axis.labels)
    if axis.integer:
        return IntDistribution(int(axis.low), int(axis.high))
    return FloatDistribution(axis.low, axis.high, log=axis.log)
