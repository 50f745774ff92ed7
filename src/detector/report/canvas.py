"""What the report's charts have in common: colors, an empty figure, and the kinds of trials.

Colors of lines and points read well on white and on black; the page gives text and grid their
colors, for it alone knows whether it is shown light or dark.
"""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from detector.sweep.best import scored_trials
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import TrialRecord
from detector.sweepfile.space import Extent

COLORS = {
    "chosen": "#d55e00",
    "finished": "#0072b2",
    "stopped": "#8d98a5",
    "running": "#009e73",
    "failed": "#cc79a7",
    "waiting": "#56b4e9",
}
"""Distinct with any kind of color vision, after Okabe and Ito 2008, "Color Universal Design"."""

LEGEND = {
    "orientation": "h",
    "traceorder": "reversed",
    "x": 0,
    "y": 1.02,
    "yanchor": "bottom",
}
"""Above a chart, with what is drawn on top named first."""

_LOG_FROM = 20
"""Values whose largest is this many times the smallest are drawn on a logarithmic axis."""


def new_figure() -> go.Figure:
    """A figure without background, whose axes cannot be dragged."""
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


def kind_of(trial: TrialRecord, sweep: SweepOutcome) -> str:
    """The trial's state, or "chosen" of the one that the sweep led to: a key of `COLORS`."""
    return "chosen" if sweep.best and trial.number == sweep.best.number else trial.state


def kinds_of_trials(sweep: SweepOutcome) -> dict[str, str]:
    """The colors of the kinds of trials that a sweep has with a score."""
    found = {kind_of(trial, sweep) for trial in scored_trials(sweep.trials)}
    return {kind: color for kind, color in COLORS.items() if kind in found}


def are_numbers(values: Sequence[object]) -> bool:
    """Whether all can be placed on an axis of numbers."""
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )


def extent_of(name: str, values: Sequence[Any], sweep: SweepOutcome) -> Extent:
    """Where a parameter was searched; by its values where the sweep does not say.

    >>> extent_of("lr", [1e-4, 1e-2], SweepOutcome("a", None, True, "m", "maximize", [], ())).scale
    'log'
    """
    if not are_numbers(values):
        known = sweep.extents[name].values if name in sweep.extents else ()
        return Extent("choice", values=[*known, *sorted({str(v) for v in values} - {*known})])
    if name in sweep.extents:
        return sweep.extents[name]
    low, high = min(values), max(values)
    return Extent("log" if low > 0 and high / low >= _LOG_FROM else "linear", low, high)


def name_each_once(figure: go.Figure) -> None:
    """One entry in the legend for all that have the same name."""
    named = set()
    for trace in figure.data:
        trace.showlegend = trace.name not in named
        named.add(trace.name)
    figure.update_layout(legend=LEGEND, showlegend=True)
