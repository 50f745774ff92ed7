"""Charts of how the sweep went: learning curves, the best score so far, and who trained when."""

import html
from collections.abc import Sequence
from itertools import accumulate

import plotly.graph_objects as go

from detector.report.canvas import COLORS, LEGEND, kind_of, name_each_once, new_figure
from detector.sweep.best import scored_trials
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import Hold, TrialRecord


def learning_curves(sweep: SweepOutcome) -> go.Figure | None:
    """The metric of every trial by epoch, the bands as lines; None before any epoch finished."""
    curved = [trial for trial in sweep.trials if trial.curve]
    if not curved:
        return None
    figure = new_figure()
    # The chosen one is drawn last, on top of the others.
    for trial in sorted(curved, key=lambda trial: kind_of(trial, sweep) == "chosen"):
        figure.add_trace(_curve(trial, kind_of(trial, sweep)))
    name_each_once(figure)
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
    for trial, hold, is_last in begun:
        kind = kind_of(trial, sweep)
        shown = kind if is_last else "went on elsewhere"
        span = [(time - first) / seconds for time in (hold.since, hold.until or last)]
        figure.add_trace(
            go.Scatter(
                x=span,
                y=[html.escape(hold.agent)] * 2,
                name=shown,
                legendgroup=shown,
                mode="lines+markers",
                line={"color": COLORS[kind], "width": 7},
                opacity=1 if is_last else 0.5,
                marker={"symbol": "line-ns", "size": 14, "line": {"width": 2}},
                hovertemplate=f"trial {trial.number} · %{{x:.2f}} {unit}<extra>{shown}</extra>",
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


def _curve(trial: TrialRecord, kind: str) -> go.Scatter:
    epochs = sorted(trial.curve)
    ended_early = trial.state in {"stopped", "failed"}
    return go.Scatter(
        x=epochs,
        y=[trial.curve[epoch] for epoch in epochs],
        name=kind,
        legendgroup=kind,
        mode="lines+markers",
        line={"color": COLORS[kind], "width": 3 if kind == "chosen" else 1.5},
        opacity=1 if kind == "chosen" else 0.75,
        marker={
            "size": [0] * (len(epochs) - 1) + [8 if ended_early else 5],
            "symbol": "x-thin" if ended_early else "circle",
            "line": {"width": 2 if ended_early else 0, "color": COLORS[kind]},
        },
        hovertemplate=f"trial {trial.number} · epoch %{{x}} · %{{y:.4f}}<extra>{kind}</extra>",
    )
