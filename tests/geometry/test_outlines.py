"""Outlines end to end, and what makes one convex."""

import math
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.errors import DataError
from detector.geometry.outlines import Outlines, is_convex, region, regions

TRIANGLE = np.array([[0, 0], [4, 0], [4, 2]])


def test_packed_outlines_come_back_as_they_were() -> None:
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], np.float32)
    first, second = Outlines.pack([TRIANGLE, square], "box")
    assert first.tolist() == TRIANGLE.tolist()
    assert second.tolist() == square.tolist()
    assert first.dtype == second.dtype == np.float64


def test_no_outlines_pack_to_none() -> None:
    assert len(Outlines.pack([], "box")) == 0


@pytest.mark.parametrize(
    "points", [np.zeros((2, 2)), np.zeros((4, 3)), np.zeros(8), np.zeros((1, 4, 2)), np.zeros(())]
)
def test_outline_of_a_wrong_shape_is_named(points: NDArray[Any]) -> None:
    with pytest.raises(DataError, match="box 1: an outline has shape"):
        Outlines.pack([TRIANGLE, points], "box")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_coordinate_that_is_not_finite_is_named(value: float) -> None:
    broken = TRIANGLE.astype(float)
    broken[1, 0] = value
    with pytest.raises(DataError, match=r"box 2: .*not finite"):
        Outlines.pack([TRIANGLE, TRIANGLE, broken, broken], "box")


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=3, max_size=8))
def test_outline_is_convex_exactly_if_it_fills_its_hull_once(points: NDArray[Any]) -> None:
    outline = np.array(points, float)
    polygon = shapely.Polygon(outline)
    assume(polygon.is_valid)
    assert is_convex(outline) == math.isclose(polygon.area, polygon.convex_hull.area)


OUTLINES = st.lists(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=3, max_size=8), max_size=5
)


@given(OUTLINES)
def test_regions_of_many_are_those_of_each(outlines: list[NDArray[Any]]) -> None:
    packed = [np.array(points, float) for points in outlines]
    together, alone = regions(packed), [region(points) for points in packed]
    assert len(together) == len(alone)
    assert all(shapely.equals_exact(one, other) for one, other in zip(together, alone, strict=True))
