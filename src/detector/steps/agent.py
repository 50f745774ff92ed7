"""The third step, of which many run side by side: train trials until the sweep has no more."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from detector.config import apply_params
from detector.console import say
from detector.data.folds import SWEEP_FOLD
from detector.errors import PreemptedError
from detector.steps.child import GRACE_S, Progress, Work, WorkLostError, say_to_parent
from detector.steps.run import Run, trial_key
from detector.steps.trained import train_in_store
from detector.sweep.agent import AgentEvent, AgentSummary, TooManyFailuresError, run_agent
from detector.sweep.backends import Backend, open_step_backend
from detector.sweep.program import program_objective
from detector.sweep.target import stop_at_target
from detector.sweep.trial import Objective, TrialEnd, TrialHandle
from detector.sweepfile.spec import SweepSpec

_FINISHER = "select"
"""The agent that trains what others have left."""

_ENDS = frozenset({"finished", "stopped", "failed", "preempted", "lost"})
_ADVANCES = frozenset({"epoch", "finished", "stopped", "failed"})


def run_sweep_agent(
    store_url: str,
    backend_url: str,
    sweep_id: str,
    agent: str,
    count: int | None = None,
    timeout: float | None = None,
) -> AgentSummary:
    """Take trials of the sweep and train them, each in its folder of the store.

    Where the sweep file names a program of the user's own, a trial is a run of that.

    Args:
        agent: a name that tells this agent from the others.
        count: end after this many trials; None runs until the sweep is done.
        timeout: leave after so many seconds, as after SIGTERM.

    Raises:
        SweepError: there is no such sweep, or one trial after the other failed.
        DataError: the data set is not the one that the run was prepared with.
    """
    run, backend = Run(store_url), open_step_backend(backend_url)
    spec = backend.spec(sweep_id)
    objective = _detector(run, sweep_id) if spec.trains_detector else _program(run, sweep_id, spec)
    return run_agent(
        backend,
        sweep_id,
        stop_at_target(objective, spec.metric, lambda: backend.stop(sweep_id)),
        agent=agent,
        count=count,
        timeout=timeout,
        on_event=_say_event,
        max_epochs=run.config().trainer.max_epochs if spec.trains_detector else None,
    )


@dataclass(frozen=True)
class AgentEnd:
    """How an agent's step ended.

    Attributes:
        outcomes: how many trials ended how.
        gave_up: why it left trials to others; None where it did all that there was.
    """

    outcomes: Counter[str]
    gave_up: str | None = None


@dataclass
class HeldByChild:
    """The trial that a child process holds, by what it says, to be given back when it has died.

    Attributes:
        outcomes: how each trial that it held before ended, by number.
    """

    backend: Backend
    sweep_id: str
    outcomes: dict[int, str] = field(default_factory=dict)
    _held: tuple[int, int] | None = None

    def hear(self, event: AgentEvent) -> None:
        if event.trial is None or event.attempt is None:
            return
        if event.kind in _ENDS:
            self._held = None
            self.outcomes[event.trial] = event.kind
        else:
            self._held = event.trial, event.attempt

    def give_back(self, was_asked: bool) -> None:
        """Let another agent have it now; without this, when its lease has run out."""
        if self._held is None:
            return
        number, attempt = self._held
        self._held = None
        if self.backend.give_back(self.sweep_id, number, attempt, died=not was_asked):
            say(f"trial {number} · given back, for any agent to go on with")


def run_lasting_agent(
    store_url: str,
    backend_url: str,
    sweep_id: str,
    agent: str,
    count: int | None = None,
    grace_s: float = GRACE_S,
) -> AgentEnd:
    """`run_sweep_agent` in a child that this process outlives (see `detector.steps.child`).

    Args:
        count: of trials, over all children together.
        grace_s: how long a training may take to end after SIGTERM.

    Raises:
        PreemptedError: SIGTERM came.
        StorageLostError: the sweep's storage was away for too long.
    """
    # Opened beforehand: when SIGTERM has come there may be no time for it.
    held = HeldByChild(open_step_backend(backend_url), sweep_id)

    def arguments() -> tuple[object, ...]:
        left = None if count is None else count - len(held.outcomes)
        return store_url, backend_url, sweep_id, agent, left

    work = Work(agent, _run_to_the_end, arguments, held.hear, held.give_back, grace_s)
    gave_up = None
    try:
        work.done()
    except (TooManyFailuresError, WorkLostError) as error:
        gave_up = str(error)
    return AgentEnd(Counter(held.outcomes.values()), gave_up)


def _run_to_the_end(
    store_url: str, backend_url: str, sweep_id: str, agent: str, count: int | None
) -> None:
    summary = run_sweep_agent(store_url, backend_url, sweep_id, agent, count)
    if summary.status == "preempted":
        raise PreemptedError(f"{agent} was asked to end before the sweep was done")


def finish_trials(
    store_url: str, backend_url: str, sweep_id: str, agents: int, trials_per_agent: int
) -> None:
    """Train what agents have left that were lost: trials that they had begun or would have.

    Where every agent has done its part there is nothing to do.

    Args:
        agents: how many there were.
        trials_per_agent: how many trials each of them might run; 0 for no limit.

    Raises:
        PreemptedError: SIGTERM came.
        TooManyFailuresError: one trial after the other failed.
    """
    count = None
    if trials_per_agent:
        trials = open_step_backend(backend_url).trials(sweep_id)
        begun = sum(trial.state in ("running", "waiting") for trial in trials)
        count = begun + max(0, agents * trials_per_agent - len(trials))
    _run_to_the_end(store_url, backend_url, sweep_id, _FINISHER, count)


def _detector(run: Run, sweep_id: str) -> Objective:
    config = run.config()
    # Fetching the data set takes long, and an agent that comes last finds nothing to train.
    folds = cache(run.folds)

    def train_trial(trial: TrialHandle) -> TrialEnd:
        result = train_in_store(
            run,
            trial_key(sweep_id, trial.number),
            apply_params(config, trial.params),
            folds(),
            SWEEP_FOLD,
            lambda metrics: trial.report(metrics.epoch, metrics.values),
        )
        return result.status

    return train_trial


def _program(run: Run, sweep_id: str, spec: SweepSpec) -> Objective:
    @contextmanager
    def folder(trial: int) -> Iterator[Path]:
        with run.store.folder(trial_key(sweep_id, trial)) as kept:
            yield kept.path

    return program_objective(spec, sweep_id, folder)


def _say_event(event: AgentEvent) -> None:
    say(event.text if event.trial is None else f"trial {event.trial} · {event.text}")
    say_to_parent(event)
    if event.kind in _ADVANCES:
        say_to_parent(Progress())
