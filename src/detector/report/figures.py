"""Charts of how the sweep went: learning curves, the best score so far, and who trained when."""

import html
from itertools import accumulate

import plotly.graph_objects as go

from detector.report.canvas import COLORS, kind_of, new_figure
from detector.report.content import ReportData
from detector.sweep.best import scored_trials
from detector.sweep.trial import TrialRecord


def learning_curves(data: ReportData) -> go.Figure | None:
    """The metric of every trial by epoch, the bands as lines; None before any epoch finished."""
    curved = [trial for trial in data.trials if trial.curve]
    if not curved:
        return None
    figure = new_figure()
    # The best is drawn last, on top of the others.
    for trial in sorted(curved, key=lambda trial: kind_of(trial, data) == "best"):
        figure.add_trace(_curve(trial, kind_of(trial, data)))
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


def incumbents(data: ReportData) -> go.Figure | None:
    """The best score reached when each trial ended, by the time since the first began;
    None before two trials have ended with a score."""
    ended = sorted(
        (trial.ended, best[1], trial.number)
        for trial in scored_trials(data.trials)
        if trial.ended is not None and (best := trial.best(data.goal))
    )
    begun = [trial.started for trial in data.trials if trial.started is not None]
    if len(ended) < 2 or not begun:
        return None
    better = min if data.goal == "minimize" else max
    times, scores, numbers = zip(*ended, strict=True)
    seconds, unit = _unit(max(times) - min(begun))
    since = [(time - min(begun)) / seconds for time in times]
    figure = new_figure()
    figure.add_trace(
        go.Scatter(
            x=since,
            y=scores,
            customdata=numbers,
            mode="markers",
            marker={"color": COLORS["finished"], "size": 6, "opacity": 0.7},
            hovertemplate=f"trial %{{customdata}} · %{{x:.2f}} {unit} · %{{y:.4f}}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=since,
            y=list(accumulate(scores, better)),
            mode="lines",
            line={"color": COLORS["best"], "width": 2.5, "shape": "hv"},
            hovertemplate="best so far · %{y:.4f}<extra></extra>",
        )
    )
    figure.update_xaxes(title=unit, rangemode="tozero")
    figure.update_yaxes(title=html.escape(data.metric))
    figure.update_layout(showlegend=False)
    return figure


def timeline(data: ReportData) -> go.Figure | None:
    """Which agent trained which trial when, since the first began; None before any has.

    A trial that more than one agent worked on is shown with the last.
    """
    begun = [trial for trial in data.trials if trial.started is not None and trial.agent]
    if not begun:
        return None
    first = min(trial.started or 0 for trial in begun)
    last = max(max(trial.started or 0, trial.ended or 0) for trial in begun)
    seconds, unit = _unit(last - first)
    figure = new_figure()
    for trial in begun:
        kind = kind_of(trial, data)
        span = [((time or last) - first) / seconds for time in (trial.started, trial.ended)]
        figure.add_trace(
            go.Scatter(
                x=span,
                y=[html.escape(str(trial.agent))] * 2,
                mode="lines+markers",
                line={"color": COLORS[kind], "width": 7},
                marker={"symbol": "line-ns", "size": 14, "line": {"width": 2}},
                hovertemplate=f"trial {trial.number} · %{{x:.2f}} {unit}<extra>{kind}</extra>",
            )
        )
    figure.update_xaxes(title=unit, rangemode="tozero")
    figure.update_yaxes(type="category")
    figure.update_layout(showlegend=False)
    return figure


def _unit(seconds: float) -> tuple[int, str]:
    """Seconds and name of the unit in which such a duration reads well."""
    return (3600, "hours") if seconds >= 2 * 3600 else (60, "minutes")


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
