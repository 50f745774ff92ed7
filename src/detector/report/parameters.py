"""Charts of what the parameters did: each against the score, all side by side, and how much each
mattered."""

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from detector.report.canvas import COLORS, extent_of, kind_of, new_figure
from detector.report.importance import Importance
from detector.report.tables import varied_parameters
from detector.sweep.best import scored_trials
from detector.sweep.outcome import SweepOutcome
from detector.sweepfile.space import Extent


def parameter_scores(name: str, sweep: SweepOutcome) -> go.Figure | None:
    """Each trial's best score by its value of one parameter; None where no trial has both."""
    figure = new_figure()
    values: list[Any] = []
    # The chosen one is drawn last, on top of the others.
    for kind in ("stopped", "finished", "waiting", "running", "failed", "chosen"):
        points = [
            (trial.params[name], best[1], trial.number)
            for trial in sweep.trials
            if kind_of(trial, sweep) == kind
            and name in trial.params
            and (best := trial.best(sweep.goal))
        ]
        if points:
            x, y, numbers = zip(*points, strict=True)
            values.extend(x)
            figure.add_trace(_points(kind, x, y, numbers))
    if not values:
        return None
    extent = extent_of(name, values, sweep)
    if extent.scale == "choice":
        for trace in figure.data:
            trace.x = [html.escape(str(value)) for value in trace.x]
    figure.update_xaxes(_axis_of(extent, values))
    # The page explains the colors once, above all of these.
    figure.update_layout(showlegend=False)
    return figure


def parallel_coordinates(sweep: SweepOutcome) -> go.Figure | None:
    """A line for each trial with a score, through its parameters to the score; None where lines
    would tell nothing: of less than two parameters, or of less than three trials."""
    trials = scored_trials(sweep.trials)
    names = varied_parameters(trials)
    if len(names) < 2 or len(trials) < 3:
        return None
    scores = [best[1] for trial in trials if (best := trial.best(sweep.goal))]
    axes = [_axis(name, [trial.params.get(name) for trial in trials], sweep) for name in names]
    axes.append({"label": html.escape(sweep.metric), "values": scores, "tickformat": ".4~f"})
    figure = new_figure()
    figure.add_trace(
        go.Parcoords(
            dimensions=axes,
            line={
                "color": scores,
                "colorscale": [[0, COLORS["stopped"]], [1, COLORS["chosen"]]],
                "reversescale": sweep.goal == "minimize",
                "showscale": True,
                "colorbar": {"thickness": 10, "tickformat": ".4~f"},
            },
            labelside="bottom",
        )
    )
    figure.update_layout(margin={"l": 56, "r": 56, "t": 28, "b": 44})
    return figure


def importance_bars(found: Sequence[Importance]) -> go.Figure | None:
    """How much of the score's variation goes with each parameter, with its uncertainty."""
    if not found:
        return None
    rows = sorted(found, key=lambda row: row.share)
    figure = new_figure()
    figure.add_trace(
        go.Bar(
            x=[row.share for row in rows],
            y=[html.escape(row.parameter) for row in rows],
            orientation="h",
            marker={"color": COLORS["finished"]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, row.high - row.share) for row in rows],
                "arrayminus": [max(0.0, row.share - row.low) for row in rows],
                "color": COLORS["stopped"],
            },
            hovertemplate="%{y} · %{x:.0%}<extra></extra>",
        )
    )
    figure.update_xaxes(title="share of importance", tickformat=".0%", range=[0, 1])
    figure.update_layout(showlegend=False)
    return figure


def _axis(name: str, values: Sequence[Any], sweep: SweepOutcome) -> dict[str, object]:
    """One axis of the parallel coordinates."""
    label, extent = html.escape(name.rsplit(".", maxsplit=1)[-1]), extent_of(name, values, sweep)
    if extent.scale == "choice":
        words = list(extent.values)
        return {
            "label": label,
            "values": [words.index(str(value)) for value in values],
            "range": [0, max(1, len(words) - 1)],
            "tickvals": list(range(len(words))),
            "ticktext": [html.escape(word) for word in words],
        }
    low, high = _span(extent, values)
    if extent.scale == "linear":
        return {"label": label, "values": list(values), "range": [low, high]}
    ticks = [math.log10(low) + math.log10(high / low) * k / 4 for k in range(5)]
    return {
        "label": label,
        "values": [math.log10(value) for value in values],
        "range": [ticks[0], ticks[-1]],
        "tickvals": ticks,
        "ticktext": [f"{10**tick:.1e}" for tick in ticks],
    }


def _span(extent: Extent, values: Sequence[float]) -> tuple[float, float]:
    """What was searched, and what lies outside of it after all."""
    ends = [end for end in (extent.low, extent.high) if end is not None]
    return min(*ends, *values), max(*ends, *values)


def _points(
    kind: str, x: Sequence[object], y: Sequence[float], numbers: Sequence[int]
) -> go.Scatter:
    return go.Scatter(
        x=list(x),
        y=list(y),
        customdata=list(numbers),
        mode="markers",
        marker={
            "color": COLORS[kind],
            "size": 11 if kind == "chosen" else 7,
            "opacity": 0.85,
            "symbol": "x" if kind in {"stopped", "failed"} else "circle",
        },
        hovertemplate=f"trial %{{customdata}} · %{{x}} · %{{y:.4f}}<extra>{kind}</extra>",
    )


def _axis_of(extent: Extent, values: Sequence[Any]) -> dict[str, object]:
    """Plotly's settings of an axis that shows all that was searched."""
    if extent.scale == "choice":
        words = [html.escape(word) for word in extent.values]
        return {"type": "category", "categoryorder": "array", "categoryarray": words}
    low, high = _span(extent, values)
    if extent.scale == "linear":
        return {"nticks": 5, "range": _with_margin(low, high)}
    decades = math.log10(high / low)
    # Too few powers of ten to read the axis by: 2 and 5 are marked as well.
    ticks = {"exponentformat": "power", "dtick": 1 if decades >= 2 else "D2"}
    return {"type": "log", "range": _with_margin(math.log10(low), math.log10(high)), **ticks}


def _with_margin(low: float, high: float) -> list[float]:
    """Points at the very ends are whole; a single value lies in the middle."""
    margin = 0.06 * (high - low) or 0.5
    return [low - margin, high + margin]
