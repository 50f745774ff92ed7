"""Outlines that tests of several rooms draw."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rectangle(x: float, y: float, width: float, height: float) -> NDArray[Any]:
    """The (4, 2) corners of an upright rectangle, clockwise from its top left."""
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], float)
