"""What a sweep is made of: trials, their learning curves and how they ended. Plain values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from detector.search.hyperband import Goal

Params = Mapping[str, object]
TrialState = Literal["waiting", "running", "finished", "stopped", "failed"]
TrialEnd = Literal["finished", "stopped", "preempted"]
Stopping = Literal["file", "adaptive"]
"""What ends trials early; see `Backend.create`."""

SWEEP_STOPPED = "the sweep was stopped"
"""The reason of a trial that was stopped for no fault of its own."""


@dataclass(frozen=True)
class Hold:
    """A stretch of time in which one agent ran a trial.

    Attributes:
        since, until: seconds since 1970, by the agent's clock. Of an agent that was lost, `until`
            is its last heartbeat; None while it holds the trial.
    """

    agent: str
    since: float
    until: float | None


@dataclass(frozen=True)
class TrialRecord:
    """What the sweep knows of one trial.

    Attributes:
        number: the trial's number in its sweep, from 0; the same after it was taken over by
            another agent.
        params: the values that were drawn, by configuration key.
        state: "stopped" is a trial that early termination ended; its curve counts.
        curve: the metric after each finished epoch, by epoch number from 1; finite values only.
        agent: the agent that ran it last.
        started, ended: seconds since 1970, None where it has not.
        reason: why it failed or was stopped, where that is known; of a trial that is tried again,
            why it failed before.
        epoch: the last epoch that finished, whether its metric was a number or not.
        attempts: how many times it was started, or will be once it runs again.
        held_since, last_sign: of a running trial, when its agent took it and sent its last
            heartbeat, in seconds since 1970 by that agent's clock; None where the backend does
            not know.
        lease_seconds: after how long without a heartbeat its agent counts as dead.
        holds: who ran it when, in order; empty where the backend does not know.
        is_added: a person asked for it, beyond the sweep's `run_cap`.
    """

    number: int
    params: Params
    state: TrialState
    curve: Mapping[int, float] = field(default_factory=dict)
    agent: str | None = None
    started: float | None = None
    ended: float | None = None
    reason: str | None = None
    epoch: int = 0
    attempts: int = 1
    held_since: float | None = None
    last_sign: float | None = None
    lease_seconds: float | None = None
    holds: tuple[Hold, ...] = ()
    is_added: bool = False

    def best(self, goal: Goal) -> tuple[int, float] | None:
        """Epoch and value of the curve's best point, the earliest of equals; None without one."""
        if not self.curve:
            return None
        value = (min if goal == "minimize" else max)(self.curve.values())
        return min(epoch for epoch, of_epoch in self.curve.items() if of_epoch == value), value


class TrialHandle(Protocol):
    """What a training sees of the trial that it is."""

    @property
    def number(self) -> int:
        """The trial's number in its sweep."""

    @property
    def attempt(self) -> int:
        """Which attempt at the trial this is; it only rises."""

    @property
    def params(self) -> Params:
        """The values that were drawn, by name."""

    def report(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Record the metrics of finished epoch `epoch` (from 1); False says to stop here."""


Objective = Callable[[TrialHandle], TrialEnd]
"""Trains one trial: reports each epoch, returns how the training ended, raises if it failed."""
