"""Outlines expanded and shrunk as DBNet does it: by a share of area / perimeter.

Targets and decoding both offset outlines, and undo each other only as long as they do it alike:
by Clipper, on whole pixels and with round corners, as every DBNet has done.
"""

from itertools import chain

import numpy as np
import pyclipper
from numpy.typing import NDArray

from detector.compiled import kernel
from detector.geometry.outlines import length, signed_area


class Offset:
    """An outline (V, 2) of non-zero length, ready to be offset. Clipper truncates its coordinates.

    >>> square = Offset(np.array([[0.0, 0], [40, 0], [40, 40], [0, 40]]))
    >>> square.distance(0.5)
    5.0
    >>> [path.tolist() for path in square.paths(-0.5)]
    [[[35, 35], [5, 35], [5, 5], [35, 5]]]
    >>> square.paths(-2)
    []
    """

    def __init__(self, outline: NDArray[np.floating | np.signedinteger]) -> None:
        self._unit = _area_by_length(np.asarray(outline, dtype=np.float64))
        self._clipper = pyclipper.PyclipperOffset()
        self._clipper.AddPath(outline.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)

    def distance(self, ratio: float) -> float:
        """Pixels from the outline to what `paths` gives for this ratio."""
        return self._unit * ratio

    def paths(self, ratio: float) -> list[NDArray[np.int32]]:
        """The outline moved outwards by `ratio` × area / perimeter, or inwards if it is negative.

        Returns:
            Any number of paths (V, 2): none where nothing is left, several where it splits or
            encloses a hole.
        """
        return [
            # Much faster than np.array, which first looks for the shape of nested lists.
            np.fromiter(chain.from_iterable(path), np.int32, 2 * len(path)).reshape(-1, 2)
            for path in self._clipper.Execute(self.distance(ratio))
        ]


@kernel()
def _area_by_length(outline: NDArray[np.float64]) -> float:
    return abs(signed_area(outline)) / length(outline, True)
