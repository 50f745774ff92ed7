"""An agent: takes a trial, has it trained, tells how it ended, and takes the next.

How a trial is trained is the objective's matter, where trials are kept the backend's.
"""

import difflib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from detector.console import say
from detector.errors import ConfigError, SweepError
from detector.sweep.backends import Backend, Idle, RunningTrial
from detector.sweep.trial import Objective, Params

FAILURES_IN_A_ROW = 3
"""An agent that fails so many trials in a row has a bad node, and leaves the rest to others."""

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

    def __str__(self) -> str:
        trial = "" if self.trial is None else f" · trial {self.trial}"
        return f"agent {self.agent}{trial} · {self.text}"


@dataclass(frozen=True)
class AgentSummary:
    """What an agent did.

    Attributes:
        status: "preempted" where a training was told to end early; "done" otherwise.
        outcomes: how each trial that it held ended here, by trial number. "lost" is a trial that
            another agent took over meanwhile.
    """

    agent: str
    status: Literal["done", "preempted"]
    outcomes: Mapping[int, Outcome]


EventListener = Callable[[AgentEvent], None]


def run_agent(
    backend: Backend,
    sweep_id: str,
    objective: Objective,
    *,
    agent: str,
    count: int | None = None,
    on_event: EventListener | None = None,
    wait_for_stragglers: bool = False,
    retries: int = 1,
    max_epochs: int | None = None,
) -> AgentSummary:
    """Run trials until there is none left to take.

    Args:
        objective: trains one trial. A trial that it was told to end by SIGTERM returns
            "preempted", and this agent ends too.
        agent: a name that tells this agent from the others of the sweep.
        count: take this many trials at most.
        on_event: gets every event; None prints them.
        wait_for_stragglers: stay until every trial has ended, to take over those whose agents die.
            Otherwise an agent ends once it saw that the others, who hold what is left, live.
        retries: how often a trial that failed is tried again.
        max_epochs: a trial's epochs, for the log; the parameter `trainer.max_epochs` wins over it.

    Raises:
        SweepError: there is no such sweep, its storage does not answer, or `FAILURES_IN_A_ROW`
            trials failed.
    """
    work = _Agent(
        backend, sweep_id, objective, agent, on_event or _print_event, retries, max_epochs
    )
    while count is None or len(work.outcomes) < count:
        claim = backend.claim(sweep_id, agent)
        if isinstance(claim, Idle):
            if claim is Idle.DONE or (claim is Idle.OTHERS_RUN and not wait_for_stragglers):
                break
            work.tell_waiting(claim)
            time.sleep(backend.poll_seconds)
            continue
        if work.run(claim) == "preempted":
            return AgentSummary(agent, "preempted", work.outcomes)
    return AgentSummary(agent, "done", work.outcomes)


@dataclass
class _Agent:
    backend: Backend
    sweep_id: str
    objective: Objective
    name: str
    on_event: EventListener
    retries: int
    max_epochs: int | None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    failures_in_a_row: int = 0
    is_waiting: bool = False

    def tell_waiting(self, idle: Idle) -> None:
        if not self.is_waiting:
            self.on_event(AgentEvent(self.name, "waiting", f"waiting: {idle.value}"))
        self.is_waiting = True

    def run(self, trial: RunningTrial) -> Outcome:
        """Have one trial trained and give it back.

        Raises:
            SweepError: it was the last of too many failures in a row.
        """
        self.is_waiting = False
        self._tell_start(trial)
        metric = self.backend.spec(self.sweep_id).metric.name
        handle = _Handle(trial, metric, self.max_epochs, self._teller(trial))
        outcome = self._train(trial, handle)
        self.outcomes[trial.number] = outcome
        return outcome

    def _train(self, trial: RunningTrial, handle: "_Handle") -> Outcome:
        try:
            end = self.objective(handle)
        except ConfigError as error:
            # The drawn values do not go together: no node and no second try would do better.
            return self._fail(trial, str(error), retry=False)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            outcome = self._fail(trial, reason, retry=trial.failures < self.retries)
            self._count_failure(reason)
            return outcome
        except BaseException:
            self._give_back(trial, "preempted", "interrupted, and released", trial.release)
            raise
        self.failures_in_a_row = 0
        if end == "preempted":
            return self._give_back(trial, "preempted", "preempted, and released", trial.release)
        if end == "stopped":
            return self._give_back(trial, "stopped", f"stopped{_last_value(handle)}", trial.stop)
        if not trial.curve:
            return self._fail(trial, handle.why_no_score(), retry=False)
        return self._give_back(trial, "finished", f"finished{_last_value(handle)}", trial.finish)

    def _give_back(
        self, trial: RunningTrial, outcome: Outcome, text: str, give: Callable[[], bool]
    ) -> Outcome:
        held = give()
        kept: Outcome = outcome if held else "lost"
        self._teller(trial)(kept, text if held else "another agent had taken it over")
        return kept

    def _fail(self, trial: RunningTrial, reason: str, *, retry: bool) -> Outcome:
        text = f"failed: {reason}{' (it is tried again)' if retry else ''}"
        return self._give_back(trial, "failed", text, lambda: trial.fail(reason, retry=retry))

    def _count_failure(self, reason: str) -> None:
        self.failures_in_a_row += 1
        if self.failures_in_a_row >= FAILURES_IN_A_ROW:
            raise SweepError(
                f"agent {self.name} failed {FAILURES_IN_A_ROW} trials in a row, the last with "
                f"{reason}",
                where=f"sweep {self.sweep_id}",
                remedy="look at this machine and at the configuration; the trials are tried again "
                "by other agents, or by this one once it is started anew",
            )

    def _tell_start(self, trial: RunningTrial) -> None:
        if trial.epoch:
            self._teller(trial)("resumed", f"resumed after epoch {trial.epoch}")
        else:
            params = " ".join(_word(key, value) for key, value in trial.params.items())
            self._teller(trial)("started", f"started {params}".rstrip())

    def _teller(self, trial: RunningTrial) -> Callable[[EventKind, str], None]:
        return lambda kind, text: self.on_event(AgentEvent(self.name, kind, text, trial.number))


class _Handle:
    """A trial as its training sees it: see `TrialHandle`."""

    def __init__(
        self,
        trial: RunningTrial,
        metric: str,
        max_epochs: int | None,
        tell: Callable[[EventKind, str], None],
    ):
        self.trial = trial
        self.metric = metric
        self._total = trial.params.get("trainer.max_epochs", max_epochs)
        self._tell = tell
        self._reported: set[str] = set()

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def params(self) -> Params:
        return self.trial.params

    def report(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        value = metrics.get(self.metric)
        self._reported.update(metrics)
        of_total = f"/{self._total}" if self._total is not None else ""
        shown = "no value" if value is None else f"{value:.4f}"
        self._tell("epoch", f"epoch {epoch}{of_total} · {self.metric} {shown}")
        return self.trial.report(epoch, value)

    def why_no_score(self) -> str:
        if not self._reported or self.metric in self._reported:
            return f"no finite value of {self.metric} was reported"
        near = difflib.get_close_matches(self.metric, self._reported, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{self.metric} was never reported, but {_listed(self._reported)} were{hint}"


def _print_event(event: AgentEvent) -> None:
    say(str(event))


def _last_value(handle: _Handle) -> str:
    curve = handle.trial.curve
    if not curve:
        return ""
    last = max(curve)
    return f" after epoch {handle.trial.epoch} · last {handle.metric} {curve[last]:.4f}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _word(key: str, value: object) -> str:
    return f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
