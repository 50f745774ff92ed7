"""Areas of overlap, against shapely's for outlines of every kind."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.evaluation.cleval.overlaps import convex_overlap, overlap_areas
from detector.geometry.outlines import Outlines, is_convex, region

coordinates = st.integers(-60, 60)
points = st.tuples(coordinates, coordinates)


def hull(points: list[tuple[int, int]]) -> NDArray[Any]:
    """The convex outline around points, either way round."""
    around = shapely.MultiPoint(points).convex_hull
    assume(around.area > 0)
    outline = shapely.get_coordinates(around)[:-1]
    return outline if points[0] < points[-1] else outline[::-1].copy()


convex = st.lists(points, min_size=4, max_size=9).map(hull)
anything = st.lists(points, min_size=3, max_size=9).map(lambda outline: np.array(outline, float))


@given(convex, convex)
def test_convex_overlap_equals_shapely_s(one: NDArray[Any], other: NDArray[Any]) -> None:
    assert is_convex(one)
    expected = shapely.intersection(region(one), region(other)).area
    assert convex_overlap(one, other) == pytest.approx(expected, abs=1e-6)


@given(st.lists(anything, min_size=1, max_size=4), st.lists(anything, min_size=1, max_size=4))
def test_outlines_of_every_kind_overlap_in_what_the_even_odd_rule_says(
    some: list[NDArray[Any]], others: list[NDArray[Any]]
) -> None:
    i, j = np.indices((len(some), len(others))).reshape(2, -1)
    areas = overlap_areas(Outlines.pack(some, "outline"), Outlines.pack(others, "outline"), i, j)
    expected = [shapely.intersection(region(a), region(b)).area for a in some for b in others]
    assert areas == pytest.approx(expected, abs=1e-6)
