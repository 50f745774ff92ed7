"""The search space as a unit cube: one coordinate from 0 to 1 for each parameter that varies.

How the cube is searched is not decided here.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from detector.search.axes import Axis, Column, Coordinate, Rows


class UnitCube:
    """The cube of a search space.

    Args:
        axes: of the parameters that vary, by name; at least one.
    """

    def __init__(self, axes: Mapping[str, Axis]):
        self.names = tuple(axes)
        self._edges = list(axes.values())
        columns = [edge.features(np.zeros(1)).shape[1] for edge in self._edges]
        self.parameter_of_feature = np.repeat(np.arange(len(self.names)), columns)
        """Which parameter each column of `features` belongs to."""

    @property
    def dimensions(self) -> int:
        """How many parameters vary."""
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

    def lattice(self, most: int) -> Rows | None:
        """Every row that can be run; None where there are more than `most`, or no end of them."""
        columns = [edge.positions(most) for edge in self._edges]
        known = [column for column in columns if column is not None]
        if len(known) < len(columns) or math.prod(map(len, known)) > most:
            return None
        return np.stack([grid.ravel() for grid in np.meshgrid(*known, indexing="ij")], axis=1)

    def features(self, rows: Rows) -> Rows:
        """Rows with a column for each value of an unordered choice (n, features)."""
        pairs = zip(self._edges, rows.T, strict=True)
        return np.hstack([edge.features(column) for edge, column in pairs])

    def _by_edge(self, rows: Rows, change: Callable[[Axis, Column], Column]) -> Rows:
        pairs = zip(self._edges, rows.T, strict=True)
        return np.stack([change(edge, column) for edge, column in pairs], axis=1)
