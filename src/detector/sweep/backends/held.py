"""A trial that this process holds, kept from other agents by a lease on the storage.

The lease is a counter that a thread raises: others watch it by their own clocks (see
`attempts.LeaseWatch`), so no two machines have to agree on the time. What ends a trial is the
storage's own state change, which it grants once.

How a trial's end is recorded: "finished" is COMPLETE with the best value of the curve, "stopped" is
PRUNED; a trial that ended without a finite value is FAIL, which the search does not learn from.
"""

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from detector.sweep.backends import attempts
from detector.sweep.backends.patience import UNANSWERED, cause, patiently
from detector.sweep.trial import SWEEP_STOPPED, Params

if TYPE_CHECKING:
    from detector.sweep.backends.optuna import OptunaBackend

_log = logging.getLogger(__name__)

BEATS_IN_A_LEASE = 3
"""Signs of life, so that one that comes late is no harm."""
_MOST_DOUBTS = 9
"""Failures for which a machine may be to blame; beyond it the trial is, since three agents in a row
that give up after three failures are enough."""


class HeldTrial:
    """A trial that this process holds; see `RunningTrial`. A thread gives the signs of life."""

    def __init__(
        self,
        backend: "OptunaBackend",
        sweep_id: str,
        slot: attempts.Slot,
        trial_id: int,
        params: Params,
        agent: str,
    ):
        self.number = slot.number
        self.params = params
        self.epoch = slot.epoch
        self.failures = int(slot.current.user_attrs.get(attempts.FAILURES, 0))
        self.curve = slot.curve
        self._doubts = int(slot.current.user_attrs.get(attempts.DOUBTS, 0))
        self._backend = backend
        self._sweep_id = sweep_id
        self.attempt = slot.current.number
        self.patience = backend.patience
        self._trial_id = trial_id
        self._agent = agent
        self._since = time.time()
        self._why_stopped: str | None = None
        self._beat = 0
        self._beat_lock = threading.Lock()
        self._given_back = threading.Event()
        threading.Thread(
            target=self._keep, name=f"lease of trial {slot.number}", daemon=True
        ).start()

    @patiently
    def report(self, epoch: int, metric: float | None) -> bool:
        self.epoch = epoch
        try:
            if metric is not None and math.isfinite(metric):
                self._backend.storage.set_trial_intermediate_value(self._trial_id, epoch, metric)
                self.curve[epoch] = metric
            else:
                self._give_sign()  # which names the epoch, as the curve does not
        except UpdateFinishedTrialError:
            _log.warning("trial %d was taken over by another agent", self.number)
            return False
        if self._backend.ends_now(self._sweep_id):
            self._why_stopped = SWEEP_STOPPED
        elif self._is_beaten():
            self._why_stopped = f"early termination after epoch {epoch}"
        return self._why_stopped is None

    @patiently
    def finish(self) -> bool:
        return self._end(TrialState.COMPLETE, {}, self._best())

    @patiently
    def stop(self) -> bool:
        why: dict[str, object] = {attempts.REASON: self._why_stopped}
        if not self.curve:
            return self._end(TrialState.FAIL, {attempts.END: "stopped", **why})
        return self._end(TrialState.PRUNED, why)

    @patiently
    def fail(self, reason: str, *, retry: bool, held_against_it: bool = True) -> bool:
        failure: dict[str, object] = {attempts.REASON: reason, attempts.FAILED_BY: self._agent}
        if held_against_it:
            failure[attempts.FAILURES] = self.failures + 1
        else:
            failure[attempts.DOUBTS] = self._doubts + 1
            failure[attempts.FAILED_ON] = self._backend.node
        if retry and self._doubts < _MOST_DOUBTS:
            return self._requeue(failure)
        return self._end(TrialState.FAIL, {attempts.REASON: reason, attempts.END: "failed"})

    @patiently
    def release(self) -> bool:
        return self._requeue({})

    def _is_beaten(self) -> bool:
        # An attempt that repeats epochs has not passed those ahead of it yet.
        passed = {epoch: value for epoch, value in self.curve.items() if epoch <= self.epoch}
        return self._backend.is_beaten(self._sweep_id, self.number, passed)

    def _best(self) -> float:
        goal = self._backend.spec(self._sweep_id).metric.goal
        return (max if goal == "maximize" else min)(self.curve.values())

    def _end(self, state: TrialState, attrs: dict[str, object], value: float | None = None) -> bool:
        attrs = {**attrs, attempts.ENDED: time.time()}
        held = self._backend.end(self._sweep_id, self.attempt, state, attrs, value)
        self._given_back.set()
        return held

    def _requeue(self, changes: dict[str, object]) -> bool:
        slot = self._backend.slots(self._sweep_id)[self.number]
        held = slot.current.number == self.attempt and slot.state == "running"
        held = held and self._backend.requeue(self._sweep_id, slot, changes)
        self._given_back.set()
        return held

    def _give_sign(self) -> None:
        with self._beat_lock:
            self._beat += 1
            lease = self._backend.lease(self._agent, self.epoch, self._beat, self._since)
            self._backend.storage.set_trial_user_attr(self._trial_id, attempts.LEASE, lease)

    def _keep(self) -> None:
        """Give signs of life, and look for those of others, until the trial is given back."""
        while not self._given_back.wait(self._backend.lease_seconds / BEATS_IN_A_LEASE):
            try:
                self._give_sign()
                self._backend.slots(self._sweep_id)
            except UpdateFinishedTrialError:
                return  # Taken over, which the next report finds out.
            except UNANSWERED as error:
                self.patience.on_silence()
                _log.warning("no sign of life of trial %d: %s", self.number, cause(error))
