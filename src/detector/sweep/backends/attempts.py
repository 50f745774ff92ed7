"""An Optuna study read as a sweep. Pure: it looks at trials, and changes none.

A trial of a sweep may need several attempts, since agents die. Each attempt is one Optuna trial:

- The first attempt at a trial has no `supersedes`. The trial's number is the count of first
  attempts before it: storages number trials without gaps and in one order, so agents that create
  attempts at the same time all see the same numbers. Those beyond the sweep's limit are surplus.
- A further attempt is a WAITING copy that names, in `supersedes`, the attempt it continues. It
  counts once that one has FAILED, and of several copies only the first does. An agent therefore
  first adds the copy, then fails the old attempt: dying in between loses nothing, and agents that
  do it at once add no second trial.
- A trial that failed for good goes on where a person asks for it: by a copy with `retried`.
- A trial that a person adds begins as a WAITING attempt with `added`, and counts beyond the limit.
- An agent holds a trial once it moved its attempt from WAITING to RUNNING, which a storage grants
  to one caller alone, or created it as RUNNING.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from detector.sweep.trial import Hold, TrialRecord
from detector.sweep.trial import TrialState as State

SUPERSEDES = "supersedes"
"""The Optuna number of the attempt that this one continues."""
PARAMS = "params"
"""The trial's parameters. Optuna's own hold the coordinates that its samplers learn from."""
LEASE = "lease"
"""Who runs the attempt, and the heartbeat: `agent`, `node`, `seconds`, `beat`, `epoch`; and for
people, as the times below are, `since` and `at`."""
STARTED, ENDED = "started", "ended"
"""Seconds since 1970, by the agent's clock: for people, nothing is decided by them."""
END = "end"
"""How an attempt that Optuna shows as FAIL ended for good: "failed" or "stopped"."""
REASON = "reason"
ADDED, RETRIED = "added", "retried"
"""A person asked for it: for one trial more, of this name, or for another attempt at one that had
failed."""
FAILURES, DOUBTS = "failures", "doubts"
"""How many failures are held against the trial, and for how many its machine may be to blame."""
FAILED_BY, FAILED_ON = "failed_by", "failed_on"
"""The agent where it failed last, and the last machine that may be to blame."""
FIRST_EPOCH, IDLE_LAPSES, IDLE_DEATHS = "first_epoch", "idle_lapses", "idle_deaths"
"""The epoch that the attempt goes on from; how many attempts in a row died before finishing one,
and in how many of them an agent outlived its training and said so."""

CARRIED = (PARAMS, STARTED, REASON, FAILURES, DOUBTS, FAILED_BY, FAILED_ON)
"""What a further attempt takes over from the one before."""

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True)
class Slot:
    """One trial of the sweep.

    Attributes:
        number: from 0.
        attempts: at least one, in order; only the last can go on.
        successor: a copy that would continue the last attempt, added but not in force.
    """

    number: int
    attempts: tuple[FrozenTrial, ...]
    successor: FrozenTrial | None = None

    @property
    def current(self) -> FrozenTrial:
        return self.attempts[-1]

    @property
    def state(self) -> State:
        ended_without_score: State = self.current.user_attrs.get(END, "failed")
        return _STATES.get(self.current.state, ended_without_score)

    @property
    def is_added(self) -> bool:
        return ADDED in self.attempts[0].user_attrs

    @property
    def has_begun(self) -> bool:
        """Whether an agent has had it."""
        return PARAMS in self.current.user_attrs or self.state != "waiting"

    @property
    def curve(self) -> dict[int, float]:
        return dict(sorted(self.current.intermediate_values.items()))

    @property
    def epoch(self) -> int:
        epoch: int = max(
            self.lease.get("epoch", 0),
            self.current.user_attrs.get(FIRST_EPOCH, 0),
            *self.current.intermediate_values,
        )
        return epoch

    @property
    def failed_by(self) -> str | None:
        return self.current.user_attrs.get(FAILED_BY)

    @property
    def failed_on(self) -> str | None:
        return self.current.user_attrs.get(FAILED_ON)

    @property
    def lease(self) -> dict[str, Any]:
        lease: dict[str, Any] = self.current.user_attrs.get(LEASE, {})
        return lease

    def record(self) -> TrialRecord:
        attrs = self.current.user_attrs
        held = self.lease if self.state == "running" else {}
        holds = self._holds()
        return TrialRecord(
            number=self.number,
            params=attrs.get(PARAMS, {}),
            state=self.state,
            curve=self.curve,
            agent=holds[-1].agent if holds else None,
            started=attrs.get(STARTED),
            ended=attrs.get(ENDED),
            reason=attrs.get(REASON),
            epoch=self.epoch,
            attempts=len(self.attempts),
            held_since=held.get("since"),
            last_sign=held.get("at"),
            lease_seconds=held.get("seconds"),
            holds=tuple(holds),
            is_added=self.is_added,
        )

    def _holds(self) -> list[Hold]:
        holds = []
        for attempt in self.attempts:
            if lease := attempt.user_attrs.get(LEASE):
                is_held = attempt is self.current and self.state == "running"
                until = attempt.user_attrs.get(ENDED, lease["at"])
                holds.append(Hold(lease["agent"], lease["since"], None if is_held else until))
        return holds


def slots(trials: Sequence[FrozenTrial], limit: int | None) -> list[Slot]:
    """The trials of a sweep, by number.

    Args:
        trials: every trial of the study, by number.
        limit: how many trials the sweep has beside those that were added; None for any number.
    """
    copies: dict[int, FrozenTrial] = {}
    for trial in trials:
        if SUPERSEDES in trial.user_attrs:
            known = copies.setdefault(trial.user_attrs[SUPERSEDES], trial)
            if RETRIED in trial.user_attrs and RETRIED not in known.user_attrs:
                copies[trial.user_attrs[SUPERSEDES]] = trial
    firsts = _within(limit, (trial for trial in trials if SUPERSEDES not in trial.user_attrs))
    return [_follow(number, first, copies) for number, first in enumerate(firsts)]


def _within(limit: int | None, firsts: Iterable[FrozenTrial]) -> Iterator[FrozenTrial]:
    drawn = 0
    for first in firsts:
        if ADDED not in first.user_attrs:
            drawn += 1
        if ADDED in first.user_attrs or limit is None or drawn <= limit:
            yield first


def _follow(number: int, first: FrozenTrial, copies: dict[int, FrozenTrial]) -> Slot:
    attempts = [first]
    while (copy := copies.get(attempts[-1].number)) is not None:
        goes_on = END not in attempts[-1].user_attrs or RETRIED in copy.user_attrs
        if attempts[-1].state != TrialState.FAIL or not goes_on:
            return Slot(number, tuple(attempts), copy)
        attempts.append(copy)
    return Slot(number, tuple(attempts))


def waiting_copy(slot: Slot, changes: Mapping[str, object]) -> FrozenTrial:
    """A further attempt at a trial, to be added to the study.

    Args:
        changes: attributes that it does not take over from the last attempt.
    """
    attempt = slot.current
    attrs = {key: attempt.user_attrs[key] for key in CARRIED if key in attempt.user_attrs}
    links = {SUPERSEDES: attempt.number, FIRST_EPOCH: slot.epoch}
    # An agent that died while it drew the parameters has left some of them at most.
    complete = PARAMS in attempt.user_attrs
    return create_trial(
        state=TrialState.WAITING,
        params=attempt.params if complete else {},
        distributions=attempt.distributions if complete else {},
        intermediate_values=attempt.intermediate_values,
        user_attrs={**attrs, **links, **changes},
    )


@dataclass
class _Seen:
    beat: object
    at: float
    silent: float = 0.0
    renewed: bool = False


@dataclass
class LeaseWatch:
    """Tells the living agents from the dead, by their heartbeats and this process's own clock:
    other machines' clocks may be wrong.

    Args:
        default_seconds: the lease of an attempt that names none.
    """

    default_seconds: float
    _seen: dict[int, _Seen] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def observe(self, sweep: Iterable[Slot]) -> None:
        """Take in the sweep as it stands now."""
        running = {slot.current.number: slot.lease for slot in sweep if slot.state == "running"}
        now = time.monotonic()
        with self._lock:
            self._seen = {
                attempt: self._look(self._seen.get(attempt), lease, now)
                for attempt, lease in running.items()
            }

    def forget(self) -> None:
        """Begin again: nothing that was seen so far proves that an agent is dead."""
        with self._lock:
            self._seen = {}

    def is_dead(self, slot: Slot) -> bool:
        """Whether the agent sent no heartbeat for its whole lease."""
        seen = self._seen.get(slot.current.number)
        return seen is not None and seen.silent >= self._seconds(slot.lease)

    def is_alive(self, slot: Slot) -> bool:
        """Whether a heartbeat was seen to arrive within the lease."""
        seen = self._seen.get(slot.current.number)
        return seen is not None and seen.renewed and not self.is_dead(slot)

    def _look(self, before: _Seen | None, lease: dict[str, Any], now: float) -> _Seen:
        beat = lease.get("beat")
        if before is None or before.beat != beat:
            return _Seen(beat, now, renewed=before is not None)
        # While nobody looked, for example because the storage was away, the agent may have been
        # unable to send one: such a gap counts for half a lease at most.
        silent = before.silent + min(now - before.at, self._seconds(lease) / 2)
        return _Seen(beat, now, silent, before.renewed)

    def _seconds(self, lease: dict[str, Any]) -> float:
        return float(lease.get("seconds", self.default_seconds))
