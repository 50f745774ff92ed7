"""The search space as a unit cube: one coordinate from 0 to 1 for each parameter that varies.

Equal distances in the cube are equal steps of a parameter as its distribution sees it: of its
logarithm on a logarithmic axis, of its rank among values that are numbers. How the cube is searched
is not decided here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from detector.sweep import space
from detector.sweep.space import Axis, Choice, Coordinate, Distribution, Interval, Space

Rows = NDArray[np.float64]
"""Points of the cube, one a row (n, parameters)."""

Column = NDArray[np.float64]


class _Edge(Protocol):
    """One parameter's edge of the cube."""

    def position(self, coordinate: Coordinate) -> float:
        """From the axis to the edge."""

    def coordinate(self, position: float) -> Coordinate:
        """From the edge to the axis."""

    def at_quantiles(self, quantiles: Column) -> Column:
        """Positions at quantiles of the parameter's prior."""

    def snap(self, positions: Column) -> Column:
        """The nearest positions that can be run."""

    def features(self, positions: Column) -> Rows:
        """What a model of distances sees of the positions (n, columns)."""


@dataclass(frozen=True)
class _Line:
    """The edge of an interval, or of values on a lattice `step` apart."""

    axis: Interval
    step: float | None = None
    beta: tuple[float, float] | None = None

    @property
    def _limits(self) -> tuple[float, float]:
        low, high = self.axis.low, self.axis.high
        return (math.log(low), math.log(high)) if self.axis.log else (low, high)

    def position(self, coordinate: Coordinate) -> float:
        low, high = self._limits
        x = math.log(float(coordinate)) if self.axis.log else float(coordinate)
        return min(max((x - low) / (high - low), 0.0), 1.0)

    def coordinate(self, position: float) -> Coordinate:
        low, high = self._limits
        x = low + position * (high - low)
        x = math.exp(x) if self.axis.log else x
        if not 0 < position < 1:  # exp(log(x)) is not quite x
            x = self.axis.high if position >= 1 else self.axis.low
        x = min(max(x, self.axis.low), self.axis.high)
        return round(x) if self.axis.integer else x

    def at_quantiles(self, quantiles: Column) -> Column:
        if self.beta is not None:
            return np.asarray(betaincinv(*self.beta, quantiles), dtype=float)
        if self.axis.integer:
            span = self.axis.high - self.axis.low
            return np.minimum(np.floor(quantiles * (span + 1)), span) / span
        return quantiles

    def snap(self, positions: Column) -> Column:
        positions = np.clip(positions, 0.0, 1.0)
        if self.step is None:
            return positions
        low, high = self._limits
        x = low + positions * (high - low)
        x = np.exp(x) if self.axis.log else x
        x = np.clip(np.round(x / self.step) * self.step, self.axis.low, self.axis.high)
        x = np.log(x) if self.axis.log else x
        return np.clip((x - low) / (high - low), 0.0, 1.0)

    def features(self, positions: Column) -> Rows:
        return positions[:, None]


@dataclass(frozen=True)
class _Steps:
    """The edge of a choice: the values lie evenly on it, in `labels`' order.

    Attributes:
        ordered: whether the order means something, as it does for numbers. Otherwise all values
            are equally far apart.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    ordered: bool

    def position(self, coordinate: Coordinate) -> float:
        return self.labels.index(str(coordinate)) / max(1, len(self.labels) - 1)

    def coordinate(self, position: float) -> Coordinate:
        return self.labels[round(position * (len(self.labels) - 1))]

    def at_quantiles(self, quantiles: Column) -> Column:
        above = np.cumsum(self.probabilities)[:-1]
        return np.searchsorted(above, quantiles, side="right") / max(1, len(self.labels) - 1)

    def snap(self, positions: Column) -> Column:
        last = max(1, len(self.labels) - 1)
        return np.round(np.clip(positions, 0.0, 1.0) * (len(self.labels) - 1)) / last

    def features(self, positions: Column) -> Rows:
        if self.ordered:
            return positions[:, None]
        index = np.round(positions * (len(self.labels) - 1)).astype(int)
        return np.eye(len(self.labels))[index] / math.sqrt(2)


class UnitCube:
    """The cube of a search space.

    Args:
        searched: at least one of its parameters varies.
    """

    def __init__(self, searched: Space):
        self.names = tuple(space.axes(searched))
        self._edges = [_edge(searched[name]) for name in self.names]
        columns = [edge.features(np.zeros(1)).shape[1] for edge in self._edges]
        self.parameter_of_feature = np.repeat(np.arange(len(self.names)), columns)
        """Which parameter each column of `features` belongs to."""

    @property
    def dimensions(self) -> int:
        return len(self.names)

    def row(self, point: Mapping[str, Coordinate]) -> Column:
        """The cube's point for one on the axes."""
        pairs = zip(self.names, self._edges, strict=True)
        return np.array([edge.position(point[name]) for name, edge in pairs])

    def point(self, row: Column) -> dict[str, Coordinate]:
        """The point on the axes for one of the cube."""
        triples = zip(self.names, self._edges, row, strict=True)
        return {name: edge.coordinate(float(position)) for name, edge, position in triples}

    def at_quantiles(self, quantiles: Rows) -> Rows:
        """Where the parameters' priors have these quantiles: of uniform rows, rows of the prior."""
        return self._by_edge(quantiles, lambda edge, column: edge.at_quantiles(column))

    def snap(self, rows: Rows) -> Rows:
        """The nearest rows that can be run: in the cube, whole numbers whole, choices chosen."""
        return self._by_edge(rows, lambda edge, column: edge.snap(column))

    def features(self, rows: Rows) -> Rows:
        """Rows with a column for each value of an unordered choice (n, features)."""
        pairs = zip(self._edges, rows.T, strict=True)
        return np.hstack([edge.features(column) for edge, column in pairs])

    def _by_edge(self, rows: Rows, change: "_Change") -> Rows:
        pairs = zip(self._edges, rows.T, strict=True)
        return np.stack([change(edge, column) for edge, column in pairs], axis=1)


class _Change(Protocol):
    def __call__(self, edge: _Edge, column: Column, /) -> Column: ...


def _edge(distribution: Distribution) -> _Edge:
    axis: Axis | None = distribution.axis()
    if isinstance(axis, Choice):
        assert isinstance(distribution, space.Categorical)
        return _steps(distribution)
    assert isinstance(axis, Interval)
    beta = None
    step = 1.0 if axis.integer else None
    if isinstance(distribution, space.Beta):
        beta = (distribution.a, distribution.b)
    if isinstance(distribution, space.Uniform | space.LogUniform):
        # Elsewhere X has no place on the axis to round it to.
        is_rounded = distribution.distribution.startswith("q_")
        step = float(distribution.q or 1) if is_rounded else None
    return _Line(axis, step, beta)


def _steps(distribution: space.Categorical) -> _Steps:
    values = distribution.values
    share = distribution.probabilities or [1 / len(values)] * len(values)
    labels = distribution.axis().labels
    numbers = [value for value in values if isinstance(value, int | float)]
    ordered = len(numbers) == len(values)
    order = sorted(range(len(values)), key=lambda i: numbers[i]) if ordered else range(len(values))
    return _Steps(tuple(labels[i] for i in order), tuple(share[i] for i in order), ordered)
