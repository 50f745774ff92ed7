"""How a sweep stands: a table for people, plain values for programs. Prints nothing itself."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.markup import escape
from rich.table import Table

from detector.sweep.backends import Backend
from detector.sweep.best import best_trial
from detector.sweep.hyperband import Goal
from detector.sweep.trial import TrialRecord

_STYLES = {
    "waiting": "dim",
    "running": "cyan",
    "finished": "green",
    "stopped": "yellow",
    "failed": "red",
}


@dataclass(frozen=True)
class SweepStatus:
    """A sweep at one moment.

    Attributes:
        limit: how many trials the sweep has in all; None for no limit.
        is_stopped: no trial is handed out any more.
        best: number of the best trial so far, None before any has ended with a score.
    """

    sweep_id: str
    method: str
    metric: str
    goal: Goal
    limit: int | None
    is_stopped: bool
    best: int | None
    trials: Sequence[TrialRecord]

    @property
    def is_over(self) -> bool:
        """Whether every trial that the sweep will have has ended."""
        open_trials = [t for t in self.trials if t.state in {"waiting", "running"}]
        complete = self.limit is not None and len(self.trials) >= self.limit
        return not open_trials and (complete or self.is_stopped)

    def to_dict(self) -> dict[str, object]:
        """Plain values, as JSON holds them."""
        return asdict(self)


def sweep_status(backend: Backend, sweep_id: str) -> SweepStatus:
    """Read how a sweep stands.

    Raises:
        SweepError: there is no such sweep.
    """
    spec = backend.spec(sweep_id)
    trials = backend.trials(sweep_id)
    best = best_trial(trials, spec.metric.goal)
    return SweepStatus(
        sweep_id=sweep_id,
        method=spec.method,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        limit=spec.trial_limit,
        is_stopped=backend.is_stopped(sweep_id),
        best=best.number if best else None,
        trials=trials,
    )


def status_table(status: SweepStatus) -> Table:
    """The status as a table, the best trial marked."""
    table = Table(title=_title(status), title_justify="left", caption=_caption(status))
    for heading in ("trial", "state", "epoch", f"best {status.metric}", "at", "agent", "tries"):
        table.add_column(heading, justify="left" if heading in {"state", "agent"} else "right")
    table.add_column("minutes", justify="right")
    table.add_column("parameters")
    for trial in status.trials:
        table.add_row(*_row(trial, status), style="bold" if trial.number == status.best else None)
    return table


def _title(status: SweepStatus) -> str:
    of = "" if status.limit is None else f" of {status.limit}"
    stopped = ", stopped" if status.is_stopped else ""
    return f"sweep {status.sweep_id} · {status.method} · {len(status.trials)}{of} trials{stopped}"


def _caption(status: SweepStatus) -> str:
    counts = Counter(trial.state for trial in status.trials)
    agents = {t.agent for t in status.trials if t.state == "running"}
    parts = [f"{count} {state}" for state, count in sorted(counts.items())]
    return " · ".join([*parts, f"{len(agents)} agents at work"])


def _row(trial: TrialRecord, status: SweepStatus) -> list[str]:
    best = trial.best(status.goal)
    mark = " ★" if trial.number == status.best else ""
    style = _STYLES[trial.state]
    return [
        f"{trial.number}{mark}",
        f"[{style}]{trial.state}[/]",
        str(trial.epoch),
        f"{best[1]:.4f}" if best else "",
        str(best[0]) if best else "",
        escape(trial.agent or ""),
        str(trial.attempts),
        _minutes(trial),
        escape(trial.reason or _params(trial)),
    ]


def _minutes(trial: TrialRecord) -> str:
    if trial.started is None or trial.state == "waiting":
        return ""
    return f"{((trial.ended or time.time()) - trial.started) / 60:.1f}"


def _params(trial: TrialRecord) -> str:
    """By the last part of each key, which is mostly enough to tell them apart."""
    return " ".join(
        f"{key.rsplit('.', 1)[-1]}={value:.4g}"
        if isinstance(value, float)
        else f"{key.rsplit('.', 1)[-1]}={value}"
        for key, value in trial.params.items()
    )
