"""How a sweep stands, as plain values: its trials, agents and rungs, and when it will end.

How that is shown stands in `status_view`.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean

from detector.search.hyperband import Goal, finite_values
from detector.sweep.best import best_trial
from detector.sweep.capabilities import Capability
from detector.sweep.ending import most_trials
from detector.sweep.protocol import Sweep
from detector.sweep.trial import SWEEP_STOPPED, TrialRecord

_NOT_DATA = {"id", "note"}
_FEWEST_ENDED = 3
"""How many trials must have ended before an end is predicted."""


@dataclass(frozen=True)
class AgentAtWork:
    """An agent and the trial that it holds.

    Attributes:
        epoch: the last that it finished.
        since, last_sign: when it took the trial and sent its last heartbeat, in seconds since
            1970 by its own clock; None where the backend does not know.
        lease_seconds: after how long without one another agent may take the trial.
    """

    name: str
    trial: int
    epoch: int
    since: float | None
    last_sign: float | None
    lease_seconds: float | None


@dataclass(frozen=True)
class Rung:
    """A point at which trials are compared.

    Attributes:
        epoch: how many values of the metric a trial has there.
        reached, stopped: how many trials came so far, and how many of them ended there.
    """

    epoch: int
    reached: int
    stopped: int


@dataclass(frozen=True)
class SweepStatus:
    """A sweep at one moment.

    Attributes:
        at: the moment, in seconds since 1970.
        limit: how many trials the sweep has in all; None for no limit.
        is_stopped: no trial is begun any more.
        best: number of the best trial so far, None before any has ended with a score.
        rungs: those that a trial has reached.
        ends_at: when the last trial will have ended, in seconds since 1970; None where too little
            is known to say.
        note: why the newest epochs may not be here yet; None where they are.
    """

    id: str
    method: str
    metric: str
    goal: Goal
    at: float
    limit: int | None
    is_stopped: bool
    best: int | None
    trials: Sequence[TrialRecord]
    agents: Sequence[AgentAtWork]
    rungs: Sequence[Rung]
    ends_at: float | None
    note: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether every trial that the sweep will have has ended."""
        open_trials = [t for t in self.trials if t.state in {"waiting", "running"}]
        complete = self.limit is not None and len(self.trials) >= self.limit
        return not open_trials and (complete or self.is_stopped)

    @property
    def states(self) -> Mapping[str, int]:
        """How many trials are in each state."""
        return Counter(trial.state for trial in self.trials)

    @property
    def epochs(self) -> int:
        """How many epochs were trained in all."""
        return sum(trial.epoch for trial in self.trials)

    def to_dict(self) -> dict[str, object]:
        """Plain values, as JSON holds them, without the id and the note."""
        derived = {"states": dict(self.states), "epochs": self.epochs, "is_over": self.is_over}
        own = {key: value for key, value in asdict(self).items() if key not in _NOT_DATA}
        return {**own, **derived}


def sweep_status(sweep: Sweep) -> SweepStatus:
    """Read how a sweep stands."""
    spec, trials = sweep.spec, sweep.trials()
    is_stopped, now = sweep.is_stopped(), time.time()
    best, limit = best_trial(trials, spec.metric.goal), most_trials(spec, trials)
    return SweepStatus(
        id=sweep.id,
        method=spec.method,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        at=now,
        limit=limit,
        is_stopped=is_stopped,
        best=best.number if best else None,
        trials=trials,
        agents=[_agent(trial) for trial in trials if trial.state == "running"],
        rungs=count_rungs(trials, sweep.rungs()),
        ends_at=predict_end(trials, limit, is_stopped, now),
        note=sweep.lacks.get(Capability.ANSWERS_AT_ONCE),
    )


def count_rungs(trials: Sequence[TrialRecord], rungs: Sequence[int]) -> list[Rung]:
    """How many trials came to each rung that any has reached, or to the first before any has.

    >>> stopped = TrialRecord(0, {}, "stopped", {1: 0.2, 2: 0.3})
    >>> count_rungs([stopped, TrialRecord(1, {}, "running", {1: 0.5})], (2, 4, 8))
    [Rung(epoch=2, reached=1, stopped=1)]
    """
    reached: Counter[int] = Counter()
    stopped: Counter[int] = Counter()
    for trial in trials:
        passed = [rung for rung in rungs if rung <= len(finite_values(trial.curve))]
        reached.update(passed)
        if passed and trial.state == "stopped" and trial.reason != SWEEP_STOPPED:
            stopped[passed[-1]] += 1
    shown = rungs[: max(1, len(reached))]
    return [Rung(rung, reached[rung], stopped[rung]) for rung in shown]


def predict_end(
    trials: Sequence[TrialRecord], limit: int | None, is_stopped: bool, now: float
) -> float | None:
    """When the last trial will have ended, if the agents at work stay and others end as those
    before did; None where that would be a guess.

    It is one before a few trials have ended, at least as many as there are agents (the first to
    end are the shortest); where a trial has run for longer than any before it; without a limit; and
    while nobody works.
    """
    running = [trial for trial in trials if trial.state == "running"]
    took = [_seconds(trial) for trial in trials if _was_trained_in_one_go(trial)]
    if is_stopped:
        to_come = 0
    elif limit is None:
        return None
    else:
        to_come = limit - len(trials)
    to_come += sum(trial.state == "waiting" for trial in trials)
    if not running or len(took) < max(_FEWEST_ENDED, len(running)):
        return None
    free_in = []
    for trial in running:
        begun = trial.started if trial.held_since is None else trial.held_since
        so_far = 0.0 if begun is None else max(0.0, now - begun)
        longer = [seconds for seconds in took if seconds > so_far]
        if not longer:
            return None
        free_in.append(mean(longer) - so_far)
    for _ in range(to_come):
        free_in.sort()
        free_in[0] += mean(took)
    return now + max(free_in)


def _was_trained_in_one_go(trial: TrialRecord) -> bool:
    return (
        trial.state in {"finished", "stopped"}
        and trial.attempts == 1
        and trial.started is not None
        and trial.ended is not None
    )


def _seconds(trial: TrialRecord) -> float:
    assert trial.started is not None
    assert trial.ended is not None
    return trial.ended - trial.started


def _agent(trial: TrialRecord) -> AgentAtWork:
    return AgentAtWork(
        name=trial.agent or "?",
        trial=trial.number,
        epoch=trial.epoch,
        since=trial.held_since,
        last_sign=trial.last_sign,
        lease_seconds=trial.lease_seconds,
    )
