"""What a sweep is made of: trials, their learning curves and how they ended. Plain values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Params = Mapping[str, object]
TrialState = Literal["waiting", "running", "finished", "stopped", "failed"]
TrialEnd = Literal["finished", "stopped", "preempted"]


@dataclass(frozen=True)
class TrialRecord:
    """What the sweep knows of one trial.

    Attributes:
        number: the trial's number in its sweep, from 0; the same after it was taken over by
            another agent.
        params: the values that were drawn, by configuration key.
        state: "stopped" is a trial that early termination ended; its curve counts.
        curve: the metric after each finished epoch, by epoch number from 1.
        agent: the agent that ran it last.
        started, ended: seconds since 1970, None where it has not.
        reason: why it failed, if it did.
    """

    number: int
    params: Params
    state: TrialState
    curve: Mapping[int, float] = field(default_factory=dict)
    agent: str | None = None
    started: float | None = None
    ended: float | None = None
    reason: str | None = None


class TrialHandle(Protocol):
    """What a training sees of the trial that it is."""

    @property
    def number(self) -> int: ...

    @property
    def params(self) -> Params: ...

    def report(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Record the metrics of finished epoch `epoch` (from 1); False says to stop here."""


Objective = Callable[[TrialHandle], TrialEnd]
"""Trains one trial. It reports each epoch and returns how the training ended; it raises if it failed."""
