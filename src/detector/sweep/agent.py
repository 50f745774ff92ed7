"""An agent: takes a trial, has it trained, says how it ended, and takes the next.

How a trial is trained, the objective decides; where trials are kept, the sweep's backend.
"""

import difflib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from detector.console import say
from detector.errors import (
    ConfigError,
    DetsweepError,
    PreemptedError,
    StorageLostError,
    StoreLostError,
    SweepError,
)
from detector.interrupt import catch_sigterm
from detector.patience import Patience
from detector.redacting import redact
from detector.storage.object_store import is_outage
from detector.sweep.protocol import HeldTrial, Idle, Sweep
from detector.sweep.trial import Objective, Params

FAILURES_IN_A_ROW = 3
"""An agent on which so many trials in a row fail has a bad node, and leaves the rest to others."""


class TooManyFailuresError(SweepError):
    """An agent gave up, since one trial after the other failed on it."""


EventKind = Literal[
    "started", "resumed", "epoch", "finished", "stopped", "failed", "preempted", "lost", "waiting"
]
Outcome = Literal["finished", "stopped", "failed", "preempted", "lost"]


@dataclass(frozen=True)
class AgentEvent:
    """Something that happened to an agent; as text, a line of its log."""

    agent: str
    kind: EventKind
    text: str
    trial: int | None = None
    attempt: int | None = None

    def __str__(self) -> str:
        trial = "" if self.trial is None else f" · trial {self.trial}"
        return f"agent {self.agent}{trial} · {self.text}"


@dataclass(frozen=True)
class AgentSummary:
    """What an agent did.

    Attributes:
        status: "preempted" where SIGTERM asked it to end; "done" otherwise.
        outcomes: how each trial that it held ended here, by trial number. "lost" is a trial that
            another agent took over meanwhile.
    """

    agent: str
    status: Literal["done", "preempted"]
    outcomes: Mapping[int, Outcome]


EventListener = Callable[[AgentEvent], None]


def run_agent(
    sweep: Sweep,
    objective: Objective,
    *,
    agent: str,
    count: int | None = None,
    timeout: float | None = None,
    on_event: EventListener | None = None,
    wait_for_stragglers: bool = False,
    retries: int = 1,
    max_epochs: int | None = None,
) -> AgentSummary:
    """Run trials until there is none left to take.

    SIGTERM, or the end of `timeout`, releases the running trial after its epoch at the latest: any
    agent goes on with it.

    Args:
        objective: trains one trial. It may return "preempted" where it reacts to SIGTERM itself,
            sooner than at the end of its epoch.
        agent: a name that tells this agent from the others of the sweep.
        count: take this many trials at most.
        timeout: seconds after which this agent leaves.
        on_event: gets every event; None prints them.
        wait_for_stragglers: stay until every trial has ended, to take over those whose agents die.
            Otherwise an agent ends once it saw that the others, who hold what is left, live.
        retries: how many failures of a trial are forgiven.
        max_epochs: a trial's epochs, for the log; the parameter `trainer.max_epochs` wins over it.

    Raises:
        SweepError: `FAILURES_IN_A_ROW` trials failed.
        StorageLostError: the sweep's storage did not answer for long.
        StoreLostError: what a training needs was away or full for long; its trial is released.
    """
    until = math.inf if timeout is None else time.monotonic() + timeout
    with catch_sigterm() as interrupt:

        def leaves() -> bool:
            return interrupt.requested or time.monotonic() >= until

        work = _Agent(
            sweep,
            objective,
            agent,
            on_event or _print_event,
            retries,
            max_epochs,
            leaves,
        )
        while not leaves() and (count is None or len(work.outcomes) < count):
            claim = sweep.claim(agent)
            if isinstance(claim, Idle):
                if claim is Idle.DONE or (claim is Idle.OTHERS_RUN and not wait_for_stragglers):
                    break
                work.say_waiting(claim)
                time.sleep(sweep.poll_seconds)
            elif work.run(claim) == "preempted":
                break
        last = list(work.outcomes.values())[-1:]
        preempted = interrupt.requested or (last == ["preempted"] and time.monotonic() < until)
        return AgentSummary(agent, "preempted" if preempted else "done", work.outcomes)


@dataclass
class _Agent:
    sweep: Sweep
    objective: Objective
    name: str
    on_event: EventListener
    retries: int
    max_epochs: int | None
    leaves: Callable[[], bool]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    failures_in_a_row: int = 0
    is_proven: bool = False
    is_waiting: bool = False

    def say_waiting(self, idle: Idle) -> None:
        if not self.is_waiting:
            self.on_event(AgentEvent(self.name, "waiting", f"waiting: {idle.value}"))
        self.is_waiting = True

    def run(self, trial: HeldTrial) -> Outcome:
        """Have one trial trained, and say how it ended.

        Raises:
            SweepError: it was the last of too many failures in a row.
        """
        self.is_waiting = False
        self._say_start(trial)
        metric = self.sweep.spec.metric.name
        handle = _Handle(trial, metric, self.max_epochs, self.leaves, self._speaker(trial))
        outcome = self._train(trial, handle)
        self.outcomes[trial.number] = outcome
        return outcome

    def _train(self, trial: HeldTrial, handle: "_Handle") -> Outcome:
        try:
            end = _away_or_full().ask(self.objective, handle)
        except StorageLostError:
            raise  # The trial did nothing wrong, and nothing could be recorded if it had.
        except (StoreLostError, PreemptedError) as error:
            # Neither did it here.
            self._end(trial, "preempted", f"released: {error.problem}", trial.release)
            raise
        except ConfigError as error:
            # The drawn values do not go together: no node and no second try would do better.
            return self._fail(trial, str(error))
        except Exception as error:
            if _is_away_or_full(error):
                text = f"released: {redact(str(error))}"
                self._end(trial, "preempted", text, trial.release)
                raise _lost(error) from error
            reason = redact(f"{type(error).__name__}: {error}")
            return self._blame(trial, reason, handle.has_trained)
        except BaseException:
            self._end(trial, "preempted", "interrupted, and released", trial.release)
            raise
        self.failures_in_a_row = 0
        self.is_proven = True
        if end == "preempted" or (end == "stopped" and handle.was_asked_to_leave):
            text = f"released after epoch {trial.epoch}, for any agent to go on with"
            return self._end(trial, "preempted", text, trial.release)
        if end == "stopped":
            return self._end(trial, "stopped", f"stopped{_last_value(handle)}", trial.stop)
        if not trial.curve:
            return self._fail(trial, handle.why_no_score())
        return self._end(trial, "finished", f"finished{_last_value(handle)}", trial.finish)

    def _end(
        self, trial: HeldTrial, outcome: Outcome, text: str, verb: Callable[[], bool]
    ) -> Outcome:
        held = verb()
        kept: Outcome = outcome if held else "lost"
        self._speaker(trial)(kept, text if held else "another agent had taken it over")
        return kept

    def _fail(self, trial: HeldTrial, reason: str) -> Outcome:
        return self._end(trial, "failed", f"failed: {reason}", lambda: trial.fail(reason))

    def _try_again(self, trial: HeldTrial, reason: str, verb: Callable[[str], bool]) -> Outcome:
        text = f"failed: {reason} (it is tried again)"
        return self._end(trial, "failed", text, lambda: verb(reason))

    def _blame(self, trial: HeldTrial, reason: str, got_through_an_epoch: bool) -> Outcome:
        """Fail a trial, and find who is to blame: it, or this agent's node.

        A node that got through an epoch since the last failure is above suspicion, and so is one
        that worked before where a trial fails on it again. Other failures are not held against the
        trial, but a few of them in a row end this agent.

        Raises:
            SweepError: it was the last of too many in a row.
        """
        failed_here_before = self.outcomes.get(trial.number) == "failed"
        self.is_proven = self.is_proven or got_through_an_epoch
        if got_through_an_epoch:
            self.failures_in_a_row = 0
        is_trials_fault = self.is_proven and (failed_here_before or not self.failures_in_a_row)
        if not (is_trials_fault and failed_here_before):
            self.failures_in_a_row += 1
        if not is_trials_fault:
            outcome = self._try_again(trial, reason, trial.suspect)
        elif trial.failures < self.retries:
            outcome = self._try_again(trial, reason, trial.retry)
        else:
            outcome = self._fail(trial, reason)
        if self.failures_in_a_row >= FAILURES_IN_A_ROW:
            raise TooManyFailuresError(
                f"agent {self.name} failed {FAILURES_IN_A_ROW} trials in a row, the last with "
                f"{reason}",
                where=f"sweep {self.sweep.id}",
                remedy="look at this machine and at the configuration; the trials are tried again "
                "by other agents, or by this one once it is started again",
            )
        return outcome

    def _say_start(self, trial: HeldTrial) -> None:
        if trial.epoch:
            self._speaker(trial)("resumed", f"resumed after epoch {trial.epoch}")
        else:
            params = " ".join(_word(key, value) for key, value in trial.params.items())
            self._speaker(trial)("started", f"started {params}".rstrip())

    def _speaker(self, trial: HeldTrial) -> Callable[[EventKind, str], None]:
        return lambda kind, text: self.on_event(
            AgentEvent(self.name, kind, text, trial.number, trial.attempt)
        )


class _Handle:
    """A trial as its training sees it: see `TrialHandle`."""

    def __init__(
        self,
        trial: HeldTrial,
        metric: str,
        max_epochs: int | None,
        leaves: Callable[[], bool],
        say_event: Callable[[EventKind, str], None],
    ):
        self.trial = trial
        self.metric = metric
        self._total = trial.params.get("trainer.max_epochs", max_epochs)
        self._leaves = leaves
        self._say = say_event
        self._reported: set[str] = set()
        self._resumed_after = trial.epoch
        self.has_trained = False
        self.was_asked_to_leave = False

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def attempt(self) -> int:
        return self.trial.attempt

    @property
    def params(self) -> Params:
        return self.trial.params

    def report(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        value = metrics.get(self.metric)
        self._reported.update(metrics)
        # A resumed training first repeats what it had reported before.
        if epoch > self._resumed_after:
            self.has_trained = True
            self._resumed_after = epoch
            of_total = f"/{self._total}" if self._total is not None else ""
            shown = "no value" if value is None else f"{value:.4f}"
            self._say("epoch", f"epoch {epoch}{of_total} · {self.metric} {shown}")
        goes_on = self.trial.report(epoch, value)
        # A trial that ends here of its own is not released.
        self.was_asked_to_leave = goes_on and self._leaves()
        return goes_on and not self.was_asked_to_leave

    def why_no_score(self) -> str:
        if not self._reported or self.metric in self._reported:
            return f"no finite value of {self.metric} was reported"
        near = difflib.get_close_matches(self.metric, self._reported, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        others = ", ".join(sorted(self._reported))
        return f"{self.metric} was never reported, but {others} were{hint}"


def _away_or_full() -> Patience:
    """A training that met an outage goes on from its last epoch, on the machine that has it."""
    return Patience("what a training needs", _is_away_or_full)


def _is_away_or_full(error: BaseException) -> bool:
    # A `DetsweepError` says itself what it is, and has been waited for where that helps.
    return is_outage(error) and not isinstance(error, DetsweepError)


def _lost(error: Exception) -> StoreLostError:
    return StoreLostError(
        f"a training could not go on here: {redact(str(error))}",
        remedy="make room on the disk, or check the network, then start the agent again: the trial "
        "goes on from its last epoch",
    )


def _print_event(event: AgentEvent) -> None:
    say(str(event))


def _last_value(handle: _Handle) -> str:
    curve = handle.trial.curve
    if not curve:
        return ""
    last = max(curve)
    return f" after epoch {handle.trial.epoch} · last {handle.metric} {curve[last]:.4f}"


def _word(key: str, value: object) -> str:
    return f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
