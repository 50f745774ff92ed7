"""A sweep's status for people: tables for a terminal, and one line for a log. Prints nothing."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from detector.console import narrow_table
from detector.sweep.status import AgentAtWork, SweepStatus
from detector.sweep.trial import TrialRecord
from detector.wording import counted

_STYLES = {
    "waiting": "dim",
    "running": "cyan",
    "finished": "green",
    "stopped": "yellow",
    "failed": "red",
}
_DAY_S = 86_400
_FEWEST_SHOWN = 3
_HEADINGS = 8
"""Lines of titles and headings, and of the last line, which may be broken."""


def status_tables(status: SweepStatus, height: int | None = None) -> RenderableType:
    """The sweep's trials, with the best one marked, its agents, its rungs and how it goes on: for
    a console without markup.

    Args:
        height: lines that there are; the best trial and the latest are shown in them. None shows
            all.
    """
    parts: list[RenderableType] = [_trial_table(status, _that_fit(status, height))]
    if status.agents:
        parts.append(_agent_table(status))
    if status.rungs:
        parts.append(_rung_table(status))
    if status.note:
        parts.append(Text(status.note, style="dim"))
    return Group(*parts, Text(status_line(status)))


def status_line(status: SweepStatus) -> str:
    """The sweep in one line, which only changes where the sweep does."""
    counts = [f"{count} {state}" for state, count in sorted(status.states.items())]
    parts = [
        *counts,
        f"{counted(len(status.agents), 'agent')} at work",
        counted(status.epochs, "epoch"),
    ]
    best = next((trial for trial in status.trials if trial.number == status.best), None)
    reached = best.best(status.goal) if best else None
    if reached is not None:
        parts.append(f"best {status.metric} {reached[1]:.4f} (trial {status.best})")
    if status.is_over:
        parts.append("over")
    elif status.ends_at is not None:
        parts.append(f"ends about {_clock(status.ends_at, status.at)}")
    return " · ".join(parts)


def _that_fit(status: SweepStatus, height: int | None) -> Sequence[TrialRecord]:
    if height is None:
        return status.trials
    room = max(_FEWEST_SHOWN, height - len(status.agents) - len(status.rungs) - _HEADINGS)
    latest = status.trials[-room:]
    best = [trial for trial in status.trials[:-room] if trial.number == status.best]
    return [*best, *latest[len(best) :]]


def _trial_table(status: SweepStatus, shown: Sequence[TrialRecord]) -> Table:
    table = narrow_table(_title(status))
    for heading in ("trial", "state", "epoch", f"best {status.metric}", "at", "tries", "minutes"):
        table.add_column(heading, justify="left" if heading == "state" else "right", no_wrap=True)
    table.add_column("agent", overflow="fold")
    table.add_column("parameters", overflow="fold")
    for trial in shown:
        table.add_row(*_row(trial, status), style="bold" if trial.number == status.best else None)
    return table


def _title(status: SweepStatus) -> str:
    begun = len(status.trials)
    trials = (
        counted(begun, "trial")
        if status.limit is None
        else f"{begun} of {counted(status.limit, 'trial')}"
    )
    stopped = ", stopped" if status.is_stopped else ""
    return f"sweep {status.id} · {status.method} · {trials}{stopped}"


def _row(trial: TrialRecord, status: SweepStatus) -> list[str | Text]:
    best = trial.best(status.goal)
    mark = " ★" if trial.number == status.best else ""
    why = trial.reason if trial.state == "failed" else None
    return [
        f"{trial.number}{mark}",
        Text(trial.state, _STYLES[trial.state]),
        str(trial.epoch),
        f"{best[1]:.4f}" if best else "",
        str(best[0]) if best else "",
        str(trial.attempts),
        _minutes(trial, status.at),
        trial.agent or "",
        why or _params(trial),
    ]


def _agent_table(status: SweepStatus) -> Table:
    table = narrow_table("agents")
    for heading in ("agent", "trial", "epoch", "since", "last heartbeat"):
        table.add_column(heading, justify="left" if heading == "agent" else "right")
    for agent in status.agents:
        since = "" if agent.since is None else _clock(agent.since, status.at)
        sign = _sign(agent, status.at)
        table.add_row(agent.name, str(agent.trial), str(agent.epoch), since, sign)
    return table


def _sign(agent: AgentAtWork, now: float) -> str:
    """How long ago, and of how long a lease: agents whose clocks run ahead give none."""
    if agent.last_sign is None or agent.lease_seconds is None or agent.last_sign > now + 1:
        return ""
    silent = max(0.0, now - agent.last_sign)
    overdue = ", counts as dead" if silent > agent.lease_seconds else ""
    return f"{silent:.0f} s ago, lease {agent.lease_seconds:.0f} s{overdue}"


def _rung_table(status: SweepStatus) -> Table:
    table = narrow_table("rungs")
    for heading in ("after epoch", "reached", "stopped there"):
        table.add_column(heading, justify="right")
    for rung in status.rungs:
        table.add_row(str(rung.epoch), str(rung.reached), str(rung.stopped))
    return table


def _minutes(trial: TrialRecord, now: float) -> str:
    if trial.started is None or trial.state == "waiting":
        return ""
    return f"{((trial.ended or now) - trial.started) / 60:.1f}"


def _clock(moment: float, now: float) -> str:
    """The time of day, with the date where it is another day's."""
    is_near = abs(moment - now) < _DAY_S / 2
    return datetime.fromtimestamp(moment).strftime("%H:%M" if is_near else "%Y-%m-%d %H:%M")


def _params(trial: TrialRecord) -> str:
    """By the last part of each key, which is mostly enough to tell them apart."""
    words: Sequence[str] = [
        f"{key.rsplit('.', 1)[-1]}={value:.4g}"
        if isinstance(value, float)
        else f"{key.rsplit('.', 1)[-1]}={value}"
        for key, value in trial.params.items()
    ]
    return " ".join(words)
