"""Charts of how the sweep went: learning curves, the best score so far, and who trained when.

All lines of one look are one trace with gaps between them: a trace for each of thousands of trials
takes plotly minutes.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go

from detector.data.page import taken_evenly
from detector.report.canvas import COLORS, LEGEND, kind_of, name_each_once, new_figure
from detector.sweep.best import scored_trials
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import Hold, TrialRecord

MOST_CURVES = 400
"""More are a grey area, and too much for a browser."""

_CROSS, _DOT = "x-thin", "circle"
_ELSEWHERE = "went on elsewhere"


@dataclass
class _Lines:
    """Points of many lines, with a gap behind each line.

    Attributes:
        x, y: of each point; None is a gap.
        trials: the number of the trial that each point belongs to.
        ends: the symbol at the last point of a line; None elsewhere.
    """

    x: list[Any] = field(default_factory=list)
    y: list[Any] = field(default_factory=list)
    trials: list[int] = field(default_factory=list)
    ends: list[str | None] = field(default_factory=list)

    def add(self, trial: int, x: Sequence[Any], y: Sequence[Any], end: str | None = None) -> None:
        self.x += [*x, None]
        self.y += [*y, None]
        self.trials += [trial] * (len(x) + 1)
        self.ends += [None] * (len(x) - 1) + [end, None]


def learning_curves(sweep: SweepOutcome) -> go.Figure | None:
    """The metric of the trials by epoch, the bands as lines; None before any epoch finished.

    Of more than `MOST_CURVES` trials a part is drawn, and the chart says which.
    """
    curved = [trial for trial in sweep.trials if trial.curve]
    if not curved:
        return None
    figure = new_figure()
    lines: dict[str, _Lines] = {}
    for trial in _to_draw(curved, sweep):
        epochs = sorted(trial.curve)
        end = _CROSS if trial.state in {"stopped", "failed"} else _DOT
        of_kind = lines.setdefault(kind_of(trial, sweep), _Lines())
        of_kind.add(trial.number, epochs, [trial.curve[epoch] for epoch in epochs], end)
    # The chosen one is drawn last, on top of the others.
    for kind in sorted(lines, key=lambda kind: kind == "chosen"):
        figure.add_traces([_curves(lines[kind], kind), _ends(lines[kind], kind)])
    name_each_once(figure)
    if len(curved) > MOST_CURVES:
        _say_how_many_are_drawn(figure, len(curved))
    last = max(max(trial.curve) for trial in curved)
    for band in sweep.rungs:
        if band <= last:
            figure.add_vline(x=band, line={"dash": "dot", "width": 1, "color": "#8d98a5"})
    # Left alone, plotly marks half epochs where there are few.
    step = 1 if last <= 12 else None
    figure.update_xaxes(title="epoch", rangemode="tozero", tickformat="d", dtick=step)
    figure.update_yaxes(title=html.escape(sweep.metric))
    return figure


def incumbents(sweep: SweepOutcome) -> go.Figure | None:
    """The best score reached when each trial ended, by the time since the first began;
    None before two trials have ended with a score."""
    ended = sorted(
        (trial.ended, best[1], trial.number)
        for trial in scored_trials(sweep.trials)
        if trial.ended is not None and (best := trial.best(sweep.goal))
    )
    begun = [trial.started for trial in sweep.trials if trial.started is not None]
    if len(ended) < 2 or not begun:
        return None
    better = min if sweep.goal == "minimize" else max
    times, scores, numbers = zip(*ended, strict=True)
    seconds, unit = _unit(max(times) - min(begun))
    since = [(time - min(begun)) / seconds for time in times]
    figure = new_figure()
    figure.add_trace(
        go.Scatter(
            x=since,
            y=scores,
            customdata=numbers,
            name="a trial when it ended",
            mode="markers",
            marker={"color": COLORS["finished"], "size": 6, "opacity": 0.7},
            hovertemplate=f"trial %{{customdata}} · %{{x:.2f}} {unit} · %{{y:.4f}}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=since,
            y=list(accumulate(scores, better)),
            name="best so far",
            mode="lines",
            line={"color": COLORS["chosen"], "width": 2.5, "shape": "hv"},
            hovertemplate="best so far · %{y:.4f}<extra></extra>",
        )
    )
    figure.update_xaxes(title=unit, rangemode="tozero")
    figure.update_yaxes(title=html.escape(sweep.metric))
    figure.update_layout(legend=LEGEND)
    return figure


def timeline(sweep: SweepOutcome) -> go.Figure | None:
    """Which agent trained which trial when, since the first began; None before any has.

    A trial that went from one agent to another stands with each of them.
    """
    holds_of = [(trial, _holds(trial)) for trial in sweep.trials]
    begun = [(trial, hold, hold is holds[-1]) for trial, holds in holds_of for hold in holds]
    if not begun:
        return None
    first = min(hold.since for _, hold, _ in begun)
    last = max(hold.until or hold.since for _, hold, _ in begun)
    seconds, unit = _unit(last - first)
    figure = new_figure()
    looks: dict[tuple[str, str], _Lines] = {}
    for trial, hold, is_last in begun:
        kind = kind_of(trial, sweep)
        of_look = looks.setdefault((kind, kind if is_last else _ELSEWHERE), _Lines())
        span = [(time - first) / seconds for time in (hold.since, hold.until or last)]
        of_look.add(trial.number, span, [html.escape(hold.agent)] * 2)
    for (kind, shown), bars in looks.items():
        figure.add_trace(
            go.Scatter(
                x=bars.x,
                y=bars.y,
                customdata=bars.trials,
                name=shown,
                legendgroup=shown,
                mode="lines+markers",
                line={"color": COLORS[kind], "width": 7},
                opacity=0.5 if shown == _ELSEWHERE else 1,
                marker={"symbol": "line-ns", "size": 14, "line": {"width": 2}},
                hovertemplate=f"trial %{{customdata}} · %{{x:.2f}} {unit}<extra>{shown}</extra>",
            )
        )
    figure.update_xaxes(title=unit, rangemode="tozero")
    figure.update_yaxes(type="category")
    name_each_once(figure)
    return figure


def _holds(trial: TrialRecord) -> Sequence[Hold]:
    if trial.holds or trial.agent is None or trial.started is None:
        return trial.holds
    return (Hold(trial.agent, trial.started, trial.ended),)


def _unit(seconds: float) -> tuple[int, str]:
    """Seconds and name of the unit in which such a duration reads well."""
    return (3600, "hours") if seconds >= 2 * 3600 else (60, "minutes")


def _to_draw(curved: Sequence[TrialRecord], sweep: SweepOutcome) -> Sequence[TrialRecord]:
    """At most `MOST_CURVES` of them, by number: half of them the best, the others evenly taken."""
    if len(curved) <= MOST_CURVES:
        return curved
    sign = 1 if sweep.goal == "minimize" else -1
    values = {trial.number: best[1] for trial in curved if (best := trial.best(sweep.goal))}
    ranked = sorted(curved, key=lambda t: (kind_of(t, sweep) != "chosen", sign * values[t.number]))
    half = MOST_CURVES // 2
    taken = {trial.number for trial in ranked[:half]}
    taken |= {trial.number for trial in taken_evenly(ranked[half:], MOST_CURVES - half)}
    return [trial for trial in curved if trial.number in taken]


def _say_how_many_are_drawn(figure: go.Figure, of: int) -> None:
    figure.add_annotation(
        text=f"{MOST_CURVES:,} of {of:,} curves: the best half of them, the others evenly taken",
        showarrow=False,
        xref="paper",
        yref="paper",
        x=1,
        y=1.02,
        xanchor="right",
        yanchor="bottom",
    )


def _curves(lines: _Lines, kind: str) -> go.Scatter:
    return go.Scatter(
        x=lines.x,
        y=lines.y,
        customdata=lines.trials,
        name=kind,
        legendgroup=kind,
        mode="lines",
        line={"color": COLORS[kind], "width": 3 if kind == "chosen" else 1.5},
        opacity=1 if kind == "chosen" else 0.75,
        hovertemplate=_hover(kind),
    )


def _ends(lines: _Lines, kind: str) -> go.Scatter:
    """A mark at the end of each line: a cross where the trial ended early."""
    at = [i for i, end in enumerate(lines.ends) if end]
    symbols = [lines.ends[i] for i in at]
    crosses = [symbol == _CROSS for symbol in symbols]
    return go.Scatter(
        x=[lines.x[i] for i in at],
        y=[lines.y[i] for i in at],
        customdata=[lines.trials[i] for i in at],
        name=kind,
        legendgroup=kind,
        mode="markers",
        marker={
            "symbol": symbols,
            "size": [8 if is_cross else 5 for is_cross in crosses],
            "color": COLORS[kind],
            "line": {
                "width": [2 if is_cross else 0 for is_cross in crosses],
                "color": COLORS[kind],
            },
        },
        opacity=1 if kind == "chosen" else 0.75,
        hovertemplate=_hover(kind),
    )


def _hover(kind: str) -> str:
    return f"trial %{{customdata}} · epoch %{{x}} · %{{y:.4f}}<extra>{kind}</extra>"
