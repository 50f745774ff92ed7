"""What a place for sweeps offers, whichever it is: `Backend`, its `Sweep`s, and the trial that an
agent holds. Which backend there is, its URL decides (see `opening`)."""

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

from detector.sweep.capabilities import Lacks
from detector.sweep.trial import Params, Stopping, TrialRecord
from detector.sweepfile.spec import SweepSpec


class Idle(Enum):
    """Why an agent has no trial to run."""

    DONE = "every trial has ended, or the sweep was stopped"
    OTHERS_RUN = "what is left is run by agents that have just sent a heartbeat"
    UNSURE = "what is left is run by agents that may be alive or dead, which time will show"


class HeldTrial(Protocol):
    """A trial that this agent holds. Call exactly one of `finish`, `stop`, `fail`, `retry`,
    `suspect` or `release` when done. Until then, heartbeats keep other agents away from it.

    Each of these returns False where another agent has taken the trial over: then what happened
    here does not count.
    """

    @property
    def number(self) -> int:
        """The trial's number in its sweep, the same after it was taken over."""

    @property
    def attempt(self) -> int:
        """Which attempt at the trial this is. It only rises, so no two holders have the same."""

    @property
    def params(self) -> Params:
        """The values that were drawn, by name."""

    @property
    def epoch(self) -> int:
        """The last epoch that finished, in this attempt or one before; 0 at first."""

    @property
    def curve(self) -> Mapping[int, float]:
        """The finite values of the metric so far, by epoch, those before a takeover included."""

    @property
    def failures(self) -> int:
        """How many failures are held against it so far."""

    def report(self, epoch: int, metric: float | None) -> bool:
        """Record finished epoch `epoch` (from 1) and its metric, which may be NaN or missing.

        Returns:
            False where the trial has to end here: early termination, a stopped sweep, or another
            agent that took it over.
        """

    def finish(self) -> bool:
        """It was trained to its end."""

    def stop(self) -> bool:
        """It ended where `report` said so; its curve counts."""

    def fail(self, reason: str) -> bool:
        """It failed for good: it has ended without a score."""

    def retry(self, reason: str) -> bool:
        """It failed, which is held against it, and is queued once more."""

    def suspect(self, reason: str) -> bool:
        """It failed, and this machine may be to blame: it is queued once more, and kept from this
        machine while others work."""

    def release(self) -> bool:
        """It is queued again at once, to be resumed from its checkpoint."""


class Sweep(Protocol):
    """One sweep of a backend."""

    poll_seconds: float
    """How long an idle agent waits before it asks again."""

    @property
    def lacks(self) -> Lacks:
        """What its backend does not keep, and what happens instead."""

    @property
    def id(self) -> str:
        """By which `Backend.open` finds it again."""

    @property
    def spec(self) -> SweepSpec:
        """The sweep's file."""

    def trials(self) -> list[TrialRecord]:
        """Every trial that was started, by number."""

    def best(self) -> TrialRecord | None:
        """The trial with the best value of those that have ended with a score."""

    def rungs(self) -> tuple[int, ...]:
        """After how many values of its metric a trial is compared with others, rising. Empty where
        none is ended early, or where it is not known yet."""

    def claim(self, agent: str) -> HeldTrial | Idle:
        """A trial for `agent` to run: one that was released or whose agent died, else a new one.
        No trial is ever held by two agents."""

    def requeue(self, number: int, attempt: int, *, died: bool) -> bool:
        """Queue a trial again at once, on behalf of the process that holds it.

        For who knows that the process has died or is about to, before its lease has run out.

        Args:
            attempt: the holder's. Where another attempt has begun nothing is done.
            died: it counts as a death of its agent; a trial survives a few of these in a row.

        Returns:
            Whether the attempt held the trial. Its later reports return False. A backend that lacks
            `Capability.REQUEUES` returns False whatever is asked.
        """

    def stop(self, *, now: bool = False) -> None:
        """No trial is begun any more. Those that were begun are trained to their end, or with
        `now` end at their next report."""

    def is_stopped(self) -> bool:
        """Whether no trial is begun any more."""

    def extend(self, trials: int) -> None:
        """So many trials more than its file's `run_cap`, for agents to come; a sweep that was
        stopped goes on.

        Raises:
            SweepError: a grid, a sweep without a limit, or a service keeps the trials.
        """

    def retry(self, number: int) -> None:
        """Queue a trial that has failed once more, from its last epoch, with nothing held against
        it.

        Raises:
            SweepError: it has not failed, or a service keeps the trials.
        """


class Backend(Protocol):
    """A place where sweeps live."""

    poll_seconds: float
    """How long an idle agent of its sweeps waits before it asks again."""

    @property
    def lacks(self) -> Lacks:
        """What it does not keep, and what happens instead. Empty for those of detsweep's own."""

    def create(
        self, spec: SweepSpec, *, stopping: Stopping = "file", max_epochs: int | None = None
    ) -> Sweep:
        """A new sweep.

        Args:
            stopping: what ends trials early. "file" keeps to the sweep file: detsweep's own rule
                if it asks for that, else W&B's bands if it has `early_terminate`, else nothing.
                "adaptive" is detsweep's own rule, whatever the file says.
            max_epochs: a trial's epochs where the sweep file does not say. Where they are not known
                at all, the own rule waits for the first trial that finishes.

        Raises:
            SweepError: the backend cannot do what is asked.
        """

    def open(self, sweep_id: str) -> Sweep:
        """The sweep of an id.

        Raises:
            SweepError: there is no such sweep.
        """
