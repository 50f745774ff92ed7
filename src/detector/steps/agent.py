"""The third step, run many times side by side: train trials until the sweep has no more."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from detector.config.loading import apply_params
from detector.console import say
from detector.data.folds import SWEEP_FOLD
from detector.errors import DetsweepError, PreemptedError
from detector.steps.child import GRACE_S, Progress, Work, WorkLostError, say_to_parent
from detector.steps.nothing_found import end_if_nothing_is_found
from detector.steps.run import Run
from detector.steps.sweep_file import require_sweep_file
from detector.steps.train import train_in
from detector.sweep.agent import AgentEvent, AgentSummary, TooManyFailuresError, run_agent
from detector.sweep.capabilities import Capability
from detector.sweep.opening import SweepAddress
from detector.sweep.program import program_objective
from detector.sweep.protocol import Sweep
from detector.sweep.target import stop_at_target
from detector.sweep.trial import Objective, TrialEnd, TrialHandle
from detector.sweepfile.allowed import refuse_foreign_values
from detector.sweepfile.spec import SweepSpec

_FINISHER = "select"
"""The agent that trains what others have left."""

_ENDS = frozenset({"finished", "stopped", "failed", "preempted", "lost"})
_ADVANCES = frozenset({"epoch", "finished", "stopped", "failed"})


def run_sweep_agent(
    run: Run,
    sweep: Sweep,
    agent: str,
    count: int | None = None,
    timeout: float | None = None,
    file: str | None = None,
) -> AgentSummary:
    """Take trials of the sweep and train them, each in its folder of the run store.

    Where the sweep file names a program of the user's own, a trial is a run of that. It is the
    file of the run that says so; a database that names another program is refused.

    Args:
        agent: a name that tells this agent from the others.
        count: end after this many trials; None runs until the sweep is done.
        timeout: leave after so many seconds, as after SIGTERM.
        file: the content of the sweep file, where the run store does not hold it.

    Raises:
        SweepError: one trial after the other failed, or the database does not go with the file.
        DataError: the data set is not the one that the run was prepared with.
    """
    require_sweep_file(run, sweep, file)
    spec = sweep.spec
    objective = _detector(run) if spec.trains_detector else _program(run, sweep)
    objective = _of_allowed_values(end_if_nothing_is_found(objective, sweep), spec)
    return run_agent(
        sweep,
        stop_at_target(objective, spec.metric, sweep.stop),
        agent=agent,
        count=count,
        timeout=timeout,
        on_event=_say_event,
        max_epochs=run.config.trainer.max_epochs if spec.trains_detector else None,
    )


@dataclass(frozen=True)
class AgentEnd:
    """How an agent's step ended.

    Attributes:
        outcomes: how many trials ended how.
        gave_up: why it left trials to others; None where it did all that there was.
    """

    outcomes: Counter[str]
    gave_up: DetsweepError | None = None


@dataclass
class HeldByChild:
    """The trial that a child process holds, by what it says, to be released when it has died.

    Attributes:
        outcomes: how each trial that it held before ended, by number.
    """

    sweep: Sweep
    outcomes: dict[int, str] = field(default_factory=dict)
    _held: tuple[int, int] | None = None

    def hear(self, event: AgentEvent) -> None:
        """Take what the child says of its trials."""
        if event.trial is None or event.attempt is None:
            return
        if event.kind in _ENDS:
            self._held = None
            self.outcomes[event.trial] = event.kind
        else:
            self._held = event.trial, event.attempt

    def release(self, was_asked: bool) -> None:
        """Let another agent have it now; without this, when its lease has run out."""
        if self._held is None:
            return
        number, attempt = self._held
        self._held = None
        if instead := self.sweep.lacks.get(Capability.REQUEUES):
            say(f"trial {number} · {instead}")
        elif self.sweep.requeue(number, attempt, died=not was_asked):
            say(f"trial {number} · released, for any agent to go on with")


def run_lasting_agent(
    run: Run,
    address: SweepAddress,
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
    held = HeldByChild(address.open())

    def arguments() -> tuple[object, ...]:
        left = None if count is None else count - len(held.outcomes)
        return run, address, agent, left

    work = Work(agent, _run_to_the_end, arguments, held.hear, held.release, grace_s)
    gave_up: DetsweepError | None = None
    try:
        work.done()
    except (TooManyFailuresError, WorkLostError) as error:
        gave_up = error
    return AgentEnd(Counter(held.outcomes.values()), gave_up)


def _run_to_the_end(run: Run, address: SweepAddress, agent: str, count: int | None) -> None:
    summary = run_sweep_agent(run, address.open(), agent, count)
    if summary.status == "preempted":
        raise PreemptedError(f"{agent} was asked to end before the sweep was done")


def finish_trials(run: Run, address: SweepAddress, agents: int, trials_per_agent: int) -> None:
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
        trials = address.open().trials()
        begun = sum(trial.state in ("running", "waiting") for trial in trials)
        count = begun + max(0, agents * trials_per_agent - len(trials))
    _run_to_the_end(run, address, _FINISHER, count)


def _detector(run: Run) -> Objective:
    config = run.config
    # Fetching the data set takes long, and an agent that comes last finds nothing to train.
    folds = cache(run.folds)

    def train_trial(trial: TrialHandle) -> TrialEnd:
        result = train_in(
            run.trial(trial.number),
            apply_params(config, trial.params),
            folds(),
            SWEEP_FOLD,
            lambda metrics: trial.report(metrics.epoch, metrics.values),
            trial.attempt,
        )
        return result.status

    return train_trial


def _program(run: Run, sweep: Sweep) -> Objective:
    @contextmanager
    def folder(trial: TrialHandle) -> Iterator[Path]:
        with run.trial(trial.number).program_folder(trial.attempt) as path:
            yield path

    return program_objective(sweep, folder)


def _of_allowed_values(objective: Objective, spec: SweepSpec) -> Objective:
    def run(trial: TrialHandle) -> TrialEnd:
        refuse_foreign_values(spec, trial.params)
        return objective(trial)

    return run


def _say_event(event: AgentEvent) -> None:
    say(event.text if event.trial is None else f"trial {event.trial} · {event.text}")
    say_to_parent(event)
    if event.kind in _ADVANCES:
        say_to_parent(Progress())
