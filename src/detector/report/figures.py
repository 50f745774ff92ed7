"""The report's charts as plotly figures: learning curves, each parameter against the score, and who
trained what when.

Colors of lines and points read well on white and on black; the page gives text and grid their
colors, for it alone knows whether it is shown light or dark.
"""

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from detector.report.content import ReportData
from detector.sweep.trial import TrialRecord

COLORS = {
    "best": "#e8590c",
    "finished": "#3b7dd8",
    "stopped": "#8d98a5",
    "running": "#2f9e6e",
    "failed": "#d6336c",
    "waiting": "#8d98a5",
}
_LOG_FROM = 20
"""Values whose largest is this many times the smallest are drawn on a logarithmic axis."""


def learning_curves(data: ReportData) -> go.Figure | None:
    """The metric of every trial by epoch, the bands as lines; None before any epoch finished."""
    curved = [trial for trial in data.trials if trial.curve]
    if not curved:
        return None
    figure = _figure()
    # The best is drawn last, on top of the others.
    for trial in sorted(curved, key=lambda trial: _kind(trial, data) == "best"):
        figure.add_trace(_curve(trial, _kind(trial, data)))
    named = set()
    for trace in figure.data:
        trace.showlegend = trace.name not in named
        named.add(trace.name)
    last = max(max(trial.curve) for trial in curved)
    for band in data.bands:
        if band <= last:
            figure.add_vline(x=band, line={"dash": "dot", "width": 1, "color": "#8d98a5"})
    # Left alone, plotly marks half epochs where there are few.
    step = 1 if last <= 12 else None
    figure.update_xaxes(title="epoch", rangemode="tozero", tickformat="d", dtick=step)
    figure.update_yaxes(title=html.escape(data.metric))
    figure.update_layout(
        legend={
            "orientation": "h",
            "traceorder": "reversed",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
        }
    )
    return figure


def timeline(data: ReportData) -> go.Figure | None:
    """Which agent trained which trial when, in hours since the first; None before any has begun.

    A trial that more than one agent worked on is shown with the last.
    """
    begun = [trial for trial in data.trials if trial.started is not None and trial.agent]
    if not begun:
        return None
    first = min(trial.started or 0 for trial in begun)
    last = max(max(trial.started or 0, trial.ended or 0) for trial in begun)
    figure = _figure()
    for trial in begun:
        kind = _kind(trial, data)
        hours = [((time or last) - first) / 3600 for time in (trial.started, trial.ended)]
        figure.add_trace(
            go.Scatter(
                x=hours,
                y=[html.escape(str(trial.agent))] * 2,
                mode="lines+markers",
                line={"color": COLORS[kind], "width": 7},
                marker={"symbol": "line-ns", "size": 14, "line": {"width": 2}},
                hovertemplate=f"trial {trial.number} · %{{x:.2f}} h<extra>{kind}</extra>",
            )
        )
    figure.update_xaxes(title="hours", rangemode="tozero")
    figure.update_yaxes(type="category")
    figure.update_layout(showlegend=False)
    return figure


def parameter_scores(name: str, data: ReportData) -> go.Figure | None:
    """Each trial's best score by its value of one parameter; None where no trial has both."""
    figure = _figure()
    values: list[Any] = []
    # The best is drawn last, on top of the others.
    for kind in ("stopped", "finished", "waiting", "running", "failed", "best"):
        points = [
            (trial.params[name], best[1], trial.number)
            for trial in data.trials
            if _kind(trial, data) == kind
            and name in trial.params
            and (best := trial.best(data.goal))
        ]
        if points:
            x, y, numbers = zip(*points, strict=True)
            values.extend(x)
            figure.add_trace(_points(kind, x, y, numbers))
    if not values:
        return None
    if _are_numbers(values):
        figure.update_xaxes(_log_axis(values) if _span_magnitudes(values) else {"nticks": 5})
    else:
        figure.update_xaxes(type="category")
        for trace in figure.data:
            trace.x = [html.escape(str(value)) for value in trace.x]
    figure.update_layout(showlegend=False)
    return figure


def _kind(trial: TrialRecord, data: ReportData) -> str:
    return "best" if data.best and trial.number == data.best.number else trial.state


def _curve(trial: TrialRecord, kind: str) -> go.Scatter:
    epochs = sorted(trial.curve)
    ended_early = trial.state in {"stopped", "failed"}
    return go.Scatter(
        x=epochs,
        y=[trial.curve[epoch] for epoch in epochs],
        name=kind,
        legendgroup=kind,
        mode="lines+markers",
        line={"color": COLORS[kind], "width": 3 if kind == "best" else 1.5},
        opacity=1 if kind == "best" else 0.75,
        marker={
            "size": [0] * (len(epochs) - 1) + [8 if ended_early else 5],
            "symbol": "x-thin" if ended_early else "circle",
            "line": {"width": 2 if ended_early else 0, "color": COLORS[kind]},
        },
        hovertemplate=f"trial {trial.number} · epoch %{{x}} · %{{y:.4f}}<extra>{kind}</extra>",
    )


def _points(
    kind: str, x: Sequence[object], y: Sequence[float], numbers: Sequence[int]
) -> go.Scatter:
    return go.Scatter(
        x=list(x),
        y=list(y),
        customdata=list(numbers),
        mode="markers",
        marker={"color": COLORS[kind], "size": 11 if kind == "best" else 7, "opacity": 0.85},
        hovertemplate=f"trial %{{customdata}} · %{{x}} · %{{y:.4f}}<extra>{kind}</extra>",
    )


def _are_numbers(values: Sequence[object]) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )


def _span_magnitudes(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) >= _LOG_FROM


def _log_axis(values: Sequence[float]) -> dict[str, object]:
    decades = math.log10(max(values) / min(values))
    # Too few powers of ten to read the axis by: 2 and 5 are marked as well.
    return {"type": "log", "exponentformat": "power", "dtick": 1 if decades >= 2 else "D2"}


def _figure() -> go.Figure:
    transparent = "rgba(0,0,0,0)"
    return go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": transparent,
            "plot_bgcolor": transparent,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "xaxis": {"automargin": True, "zeroline": False, "fixedrange": True},
            "yaxis": {"automargin": True, "zeroline": False, "fixedrange": True},
            "hovermode": "closest",
        }
    )
