"""The record of one sweep: a study in an Optuna storage, and what may be changed in it.

How it is read stands in `attempts`. Who takes a trial, and with which parameters, is decided above.
Each trial keeps its coordinates as Optuna's parameters and its curve as intermediate values;
"finished" is COMPLETE with the best value of the curve, "stopped" is PRUNED, and a trial that ended
without a finite value is FAIL, which the search does not learn from. So what else reads the
storage, a dashboard say, sees a study like any other.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from detector.sweep.backends import attempts
from detector.sweep.backends.attempts import LeaseWatch, Slot
from detector.sweep.trial import SWEEP_STOPPED
from detector.sweepfile.spec import SweepSpec

_STOPPED = "stopped"
_MOST_DEATHS = 3
"""Attempts in a row whose training may die, by the word of the agent that outlived it, before an
epoch is finished: beyond it the trial itself kills them, for example by its use of memory."""
_MOST_LAPSES = 9
"""Attempts in a row that may end without a word before an epoch is finished, those above included.
Whole machines die so, too, which says little of the trial."""


class StopState(Enum):
    """What an end of the sweep leaves to do."""

    NOT_STOPPED = None
    DRAINING = "draining"  # trials that were begun are trained to their end
    NOW = "now"  # and these end at their next report


@dataclass(frozen=True)
class Study:
    """One sweep's record, as this machine's agents use it.

    Attributes:
        study_id: Optuna's own number of the study.
        node: this machine's name.
        lease_seconds: an agent that sends no heartbeat for this long counts as dead.
        watch: of the heartbeats, fed by every look at the study.
    """

    storage: BaseStorage
    study_id: int
    spec: SweepSpec
    node: str
    lease_seconds: float
    watch: LeaseWatch

    def slots(self) -> list[Slot]:
        """The sweep as it stands, every look at which also watches for heartbeats."""
        trials = self.storage.get_all_trials(self.study_id, deepcopy=False)
        sweep = attempts.slots(trials, self.spec.trial_limit)
        self.watch.observe(sweep)
        return sweep

    def attributes(self) -> dict[str, Any]:
        """What is kept of the whole sweep."""
        return self.storage.get_study_user_attrs(self.study_id)

    def stop(self, *, now: bool) -> None:
        """No trial is begun any more; with `now` those that run end, too."""
        state = StopState.NOW if now else StopState.DRAINING
        self.storage.set_study_user_attr(self.study_id, _STOPPED, state.value)
        ending = {attempts.END: "stopped", attempts.REASON: SWEEP_STOPPED}
        for slot in self.slots():
            if not slot.has_begun:
                self.end(slot.current.number, TrialState.FAIL, ending)

    def stop_state(self) -> StopState:
        return StopState(self.attributes().get(_STOPPED))

    def begin(self, agent: str) -> Slot | None:
        """A new trial, which runs; None where the sweep has as many as it may."""
        started = {attempts.LEASE: self.lease(agent), attempts.STARTED: time.time()}
        trial_id = self.storage.create_new_trial(
            self.study_id, create_trial(state=TrialState.RUNNING, user_attrs=started)
        )
        attempt = self.storage.get_trial_number_from_id(trial_id)
        trials = self.storage.get_all_trials(self.study_id, deepcopy=False)
        sweep = attempts.slots(trials, self.spec.trial_limit)
        begun = next((slot for slot in sweep if slot.attempts[0].number == attempt), None)
        if begun is None:
            self.end(attempt, TrialState.FAIL)
        return begun

    def add(self, names: Iterable[str]) -> None:
        """A trial for each name, which waits for an agent; a sweep that was stopped goes on. Asked
        again with the same names, it adds those that are missing."""
        known = {slot.attempts[0].user_attrs.get(attempts.ADDED) for slot in self.slots()}
        for name in names:
            if name not in known:
                waiting = create_trial(state=TrialState.WAITING, user_attrs={attempts.ADDED: name})
                self.storage.create_new_trial(self.study_id, waiting)
        self.storage.set_study_user_attr(self.study_id, _STOPPED, None)

    def retry(self, slot: Slot) -> None:
        """Let a trial that failed for good wait for an agent, from where it is."""
        clean = {attempts.FAILURES: 0, attempts.DOUBTS: 0}
        anywhere = {attempts.FAILED_BY: None, attempts.FAILED_ON: None}
        again = attempts.waiting_copy(slot, {attempts.RETRIED: True, **clean, **anywhere})
        self.storage.create_new_trial(self.study_id, again)

    def take(self, slot: Slot) -> bool:
        """Move a waiting trial to running, which the storage grants to one caller alone."""
        trial_id = self.trial_id(slot.current.number)
        try:
            return self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            return False

    def requeue(self, slot: Slot, changes: Mapping[str, object]) -> bool:
        """Let the trial wait for an agent, from where it is. False where it had ended before."""
        if slot.successor is None:
            waiting = attempts.waiting_copy(slot, changes)
            self.storage.create_new_trial(self.study_id, waiting)
        return self.end(slot.current.number, TrialState.FAIL)

    def bury(self, slot: Slot, *, is_witnessed: bool) -> bool:
        """Let a dead agent's trial wait, or end it where one agent after the other died of it.

        Args:
            is_witnessed: whether a process of the agent outlived its training, and says so. Nobody
                knows otherwise whether the trial was the reason, or the machine.
        """
        attrs = slot.current.user_attrs
        advanced = slot.epoch > attrs.get(attempts.FIRST_EPOCH, 0)
        before = {} if advanced else attrs
        lapses = 1 if advanced else attrs.get(attempts.IDLE_LAPSES, 0) + 1
        deaths = before.get(attempts.IDLE_DEATHS, 0) + is_witnessed
        if deaths > _MOST_DEATHS:
            return self._give_up(slot, f"{deaths} trainings of it in a row died")
        if lapses > _MOST_LAPSES:
            return self._give_up(slot, f"{lapses} agents in a row died, or their machines,")
        counts = {attempts.IDLE_LAPSES: lapses, attempts.IDLE_DEATHS: deaths}
        suspect = {} if advanced else {attempts.FAILED_ON: slot.lease.get("node")}
        return self.requeue(slot, {**counts, **suspect})

    def _give_up(self, slot: Slot, how: str) -> bool:
        reason = f"{how} before they finished epoch {slot.epoch + 1}: look at their memory"
        ending = {attempts.REASON: reason, attempts.END: "failed", attempts.ENDED: time.time()}
        return self.end(slot.current.number, TrialState.FAIL, ending)

    def end(
        self,
        attempt: int,
        state: TrialState,
        attrs: Mapping[str, object] | None = None,
        value: float | None = None,
    ) -> bool:
        """End an attempt, unless it has ended already: the first to do so decides."""
        trial_id = self.trial_id(attempt)
        try:
            for key, content in (attrs or {}).items():
                self.storage.set_trial_user_attr(trial_id, key, content)
            values = None if value is None else [value]
            return self.storage.set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            return False

    def trial_id(self, attempt: int) -> int:
        """Optuna's own id of an attempt."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, attempt)

    def lease(
        self, agent: str, epoch: int = 0, beat: int = 0, since: float | None = None
    ) -> dict[str, Any]:
        """Who holds a trial, and the heartbeat: see `attempts.LEASE`."""
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
