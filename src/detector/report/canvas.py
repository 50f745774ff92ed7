"""What the report's charts have in common: colors, an empty figure, and the kinds of trials.

Colors of lines and points read well on white and on black; the page gives text and grid their
colors, for it alone knows whether it is shown light or dark.
"""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import TrialRecord

COLORS = {
    "chosen": "#d55e00",
    "finished": "#0072b2",
    "stopped": "#8d98a5",
    "running": "#009e73",
    "failed": "#cc79a7",
    "waiting": "#56b4e9",
}
"""Distinct with any kind of color vision, after Okabe and Ito 2008, "Color Universal Design"."""

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


def are_numbers(values: Sequence[object]) -> bool:
    """Whether all can be placed on an axis of numbers."""
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )


def span_magnitudes(values: Sequence[float]) -> bool:
    """Whether numbers are read better by their logarithm."""
    return min(values) > 0 and max(values) / min(values) >= _LOG_FROM
