"""The axes of a search space, and each as an edge of the unit cube: a position from 0 to 1.

Equal distances on an edge are equal steps of the parameter as its distribution sees it: of its
logarithm on a logarithmic axis, of its rank among values that are numbers.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Coordinate = float | int | str
"""Where a parameter lies on its axis."""

Rows = NDArray[np.float64]
"""Points of the cube, one a row (n, parameters)."""

Column = NDArray[np.float64]
"""Positions on one edge (n,)."""


@dataclass(frozen=True)
class Interval:
    """An axis of numbers, both ends included; on a `log` axis equal ratios are equal distances.

    Attributes:
        step: of the lattice that values lie on; None for any number.
        beta: a and b of a prior that is Beta(a, b) along the axis; None for a uniform one.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    step: float | None = None
    beta: tuple[float, float] | None = None

    @property
    def _limits(self) -> tuple[float, float]:
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)

    def position(self, coordinate: Coordinate) -> float:
        """From the axis to the edge; what lies outside has the position of the nearer end."""
        low, high = self._limits
        x = max(float(coordinate), self.low)
        x = math.log(x) if self.log else x
        return min(max((x - low) / (high - low), 0.0), 1.0)

    def coordinate(self, position: float) -> float:
        """From the edge to the axis."""
        low, high = self._limits
        x = low + position * (high - low)
        x = math.exp(x) if self.log else x
        if not 0 < position < 1:  # exp(log(x)) is not quite x
            x = self.high if position >= 1 else self.low
        x = min(max(x, self.low), self.high)
        return round(x) if self.integer else x

    def at_quantiles(self, quantiles: Column) -> Column:
        """Positions at quantiles of the parameter's prior."""
        if self.beta is not None:
            # Whoever only reads a sweep file does not load scipy.
            from scipy.special import betaincinv  # noqa: PLC0415

            return np.asarray(betaincinv(*self.beta, quantiles), dtype=float)
        if self.integer:
            span = self.high - self.low
            return np.minimum(np.floor(quantiles * (span + 1)), span) / span
        return quantiles

    def snap(self, positions: Column) -> Column:
        """The nearest positions that can be run."""
        positions = np.clip(positions, 0.0, 1.0)
        step = 1.0 if self.integer else self.step
        if step is None:
            return positions
        low, high = self._limits
        x = low + positions * (high - low)
        x = np.exp(x) if self.log else x
        x = np.clip(np.round(x / step) * step, self.low, self.high)
        x = np.log(x) if self.log else x
        return np.clip((x - low) / (high - low), 0.0, 1.0)

    def positions(self, most: int) -> Column | None:
        """Every position that can be run; None where there are more than `most`."""
        step = 1.0 if self.integer else self.step
        if step is None or (self.high - self.low) / step > most:
            return None
        steps = np.arange(math.floor(self.low / step), math.ceil(self.high / step) + 1)
        coordinates = np.clip(steps * step, self.low, self.high)
        return self.snap(np.unique([self.position(float(x)) for x in coordinates]))

    def features(self, positions: Column) -> Rows:
        """What a model of distances sees of the positions (n, 1)."""
        return positions[:, None]


@dataclass(frozen=True)
class Choice:
    """An axis of values by label, which lie evenly on its edge.

    Attributes:
        probabilities: of each label; None for equally likely ones.
        order: the labels' indices from the smallest value to the largest; None where the values
            have no order, and all are equally far apart.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...] | None = None
    order: tuple[int, ...] | None = None

    @property
    def _along(self) -> tuple[int, ...]:
        """The labels' indices as they follow each other on the edge."""
        return tuple(range(len(self.labels))) if self.order is None else self.order

    def position(self, coordinate: Coordinate) -> float:
        """From the axis to the edge."""
        place = self._along.index(self.labels.index(str(coordinate)))
        return place / max(1, len(self.labels) - 1)

    def coordinate(self, position: float) -> str:
        """From the edge to the axis."""
        return self.labels[self._along[round(position * (len(self.labels) - 1))]]

    def at_quantiles(self, quantiles: Column) -> Column:
        """Positions at quantiles of the parameter's prior."""
        count = len(self.labels)
        share = self.probabilities or (1 / count,) * count
        above = np.cumsum([share[index] for index in self._along])[:-1]
        return np.searchsorted(above, quantiles, side="right") / max(1, count - 1)

    def snap(self, positions: Column) -> Column:
        """The nearest positions that can be run."""
        last = max(1, len(self.labels) - 1)
        return np.round(np.clip(positions, 0.0, 1.0) * (len(self.labels) - 1)) / last

    def positions(self, most: int) -> Column | None:
        """Every position that can be drawn; None where there are more than `most`."""
        count = len(self.labels)
        share = self.probabilities or (1.0,) * count
        drawn = [place for place, index in enumerate(self._along) if share[index] > 0]
        return np.array(drawn) / max(1, count - 1) if len(drawn) <= most else None

    def features(self, positions: Column) -> Rows:
        """What a model of distances sees of the positions (n, 1), or (n, labels) without order."""
        if self.order is not None:
            return positions[:, None]
        index = np.round(positions * (len(self.labels) - 1)).astype(int)
        features: Rows = np.eye(len(self.labels))[index] / math.sqrt(2)
        return features


Axis = Interval | Choice
