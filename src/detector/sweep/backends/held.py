"""A trial that this process holds, kept from other agents by a lease on the storage.

The lease is a counter that a thread raises: others watch it by their own clocks (see
`attempts.LeaseWatch`), so no two machines have to agree on the time. What ends a trial is the
storage's own state change, which it grants once.
"""

import logging
import math
import threading
import time
import weakref

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from detector.sweep.backends import attempts
from detector.sweep.backends.attempts import Slot
from detector.sweep.backends.patience import UNANSWERED, StoragePatience, cause, patiently
from detector.sweep.backends.searching import Searching
from detector.sweep.backends.study import StopState
from detector.sweep.trial import SWEEP_STOPPED, Params

_log = logging.getLogger(__name__)

BEATS_IN_A_LEASE = 3
"""Heartbeats, so that one that comes late is no harm."""
_MOST_DOUBTS = 9
"""Failures for which a machine may be to blame; beyond it the trial is, since three agents in a row
that give up after three failures are enough."""


class StudyTrial:
    """A trial that this process holds; see `HeldTrial`. A thread sends the heartbeats."""

    def __init__(
        self,
        searching: Searching,
        slot: Slot,
        params: Params,
        agent: str,
        patience: StoragePatience,
    ):
        self.number = slot.number
        self.attempt = slot.current.number
        self.params = params
        self.epoch = slot.epoch
        self.failures = int(slot.current.user_attrs.get(attempts.FAILURES, 0))
        self.curve = slot.curve
        self.patience = patience
        self._doubts = int(slot.current.user_attrs.get(attempts.DOUBTS, 0))
        self._searching, self._study = searching, searching.study
        self._trial_id = self._study.trial_id(self.attempt)
        self._agent = agent
        self._since = time.time()
        self._why_stopped: str | None = None
        self._beat = 0
        self._beat_lock = threading.Lock()
        self._has_ended = threading.Event()
        # The thread does not keep this object: with it ends the lease, even of one just dropped.
        weakref.finalize(self, self._has_ended.set)
        threading.Thread(
            target=_keep,
            args=(weakref.ref(self), self._has_ended, self._study.lease_seconds / BEATS_IN_A_LEASE),
            name=f"lease of trial {slot.number}",
            daemon=True,
        ).start()

    @patiently
    def report(self, epoch: int, metric: float | None) -> bool:
        self.epoch = epoch
        try:
            if metric is not None and math.isfinite(metric):
                self._study.storage.set_trial_intermediate_value(self._trial_id, epoch, metric)
                self.curve[epoch] = metric
            else:
                self._send_heartbeat()  # which names the epoch, as the curve does not
        except UpdateFinishedTrialError:
            _log.warning("trial %d was taken over by another agent", self.number)
            return False
        if self._study.stop_state() is StopState.NOW:
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
    def fail(self, reason: str) -> bool:
        return self._end(TrialState.FAIL, {attempts.REASON: reason, attempts.END: "failed"})

    @patiently
    def retry(self, reason: str) -> bool:
        return self._try_again(reason, {attempts.FAILURES: self.failures + 1})

    @patiently
    def suspect(self, reason: str) -> bool:
        doubt = {attempts.DOUBTS: self._doubts + 1, attempts.FAILED_ON: self._study.node}
        return self._try_again(reason, doubt)

    @patiently
    def release(self) -> bool:
        return self._requeue({})

    def _try_again(self, reason: str, failure: dict[str, object]) -> bool:
        if self._doubts >= _MOST_DOUBTS:
            return self.fail(reason)
        by = {attempts.REASON: reason, attempts.FAILED_BY: self._agent}
        return self._requeue({**by, **failure})

    def _is_beaten(self) -> bool:
        # An attempt that repeats epochs has not passed those ahead of it yet.
        passed = {epoch: value for epoch, value in self.curve.items() if epoch <= self.epoch}
        return self._searching.is_beaten(self.number, passed)

    def _best(self) -> float:
        goal = self._study.spec.metric.goal
        return (max if goal == "maximize" else min)(self.curve.values())

    def _end(self, state: TrialState, attrs: dict[str, object], value: float | None = None) -> bool:
        attrs = {**attrs, attempts.ENDED: time.time()}
        held = self._study.end(self.attempt, state, attrs, value)
        self._has_ended.set()
        return held

    def _requeue(self, changes: dict[str, object]) -> bool:
        slot = self._study.slots()[self.number]
        held = slot.current.number == self.attempt and slot.state == "running"
        held = held and self._study.requeue(slot, changes)
        self._has_ended.set()
        return held

    def _send_heartbeat(self) -> None:
        with self._beat_lock:
            self._beat += 1
            lease = self._study.lease(self._agent, self.epoch, self._beat, self._since)
            self._study.storage.set_trial_user_attr(self._trial_id, attempts.LEASE, lease)

    def beat(self) -> None:
        """Send a heartbeat and look for those of others, as the thread does now and then."""
        try:
            self._send_heartbeat()
            self._study.slots()
        except UpdateFinishedTrialError:
            self._has_ended.set()  # Taken over, which the next report finds out.
        except UNANSWERED as error:
            self.patience.on_silence()
            _log.warning("no heartbeat of trial %d: %s", self.number, cause(error))


def _keep(
    trial: "weakref.ref[StudyTrial]", has_ended: threading.Event, seconds_between: float
) -> None:
    """Send heartbeats until the trial has ended here."""
    while not has_ended.wait(seconds_between):
        held = trial()
        if held is not None:
            held.beat()
        del held
