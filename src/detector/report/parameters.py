"""Charts of what the parameters did: each against the score, all side by side, and how much each
mattered."""

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from detector.report.canvas import COLORS, are_numbers, kind_of, new_figure, span_magnitudes
from detector.report.importance import Importance
from detector.report.tables import varied_parameters
from detector.sweep.best import scored_trials
from detector.sweep.outcome import SweepOutcome


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
    if are_numbers(values):
        figure.update_xaxes(_log_axis(values) if span_magnitudes(values) else {"nticks": 5})
    else:
        figure.update_xaxes(type="category")
        for trace in figure.data:
            trace.x = [html.escape(str(value)) for value in trace.x]
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
    axes = [_axis(name, [trial.params.get(name) for trial in trials]) for name in names]
    axes.append({"label": html.escape(sweep.metric), "values": scores, "tickformat": ".4~f"})
    figure = new_figure()
    figure.add_trace(
        go.Parcoords(
            dimensions=axes,
            line={
                "color": scores,
                "colorscale": [[0, COLORS["stopped"]], [1, COLORS["chosen"]]],
                "reversescale": sweep.goal == "minimize",
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


def _axis(name: str, values: Sequence[Any]) -> dict[str, object]:
    """One axis of the parallel coordinates."""
    label = html.escape(name.rsplit(".", maxsplit=1)[-1])
    if not are_numbers(values):
        words = sorted({str(value) for value in values})
        return {
            "label": label,
            "values": [words.index(str(value)) for value in values],
            "tickvals": list(range(len(words))),
            "ticktext": [html.escape(word) for word in words],
        }
    if not span_magnitudes(values):
        return {"label": label, "values": list(values)}
    logs = [math.log10(value) for value in values]
    ticks = [min(logs) + (max(logs) - min(logs)) * k / 4 for k in range(5)]
    return {
        "label": label,
        "values": logs,
        "tickvals": ticks,
        "ticktext": [f"{10**tick:.1e}" for tick in ticks],
    }


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


def _log_axis(values: Sequence[float]) -> dict[str, object]:
    decades = math.log10(max(values) / min(values))
    # Too few powers of ten to read the axis by: 2 and 5 are marked as well.
    return {"type": "log", "exponentformat": "power", "dtick": 1 if decades >= 2 else "D2"}
