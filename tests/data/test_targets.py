"""Training targets: DBNet's definitions, and no way for a polygon to spoil them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.data.targets import Targets, build_targets
from detector.errors import ConfigError
from tests.data.reference_targets import reference_targets
from tests.shapes import rectangle

SIZE = 160


def rotated(x: float, y: float, width: float, height: float, degrees: float) -> NDArray[Any]:
    turn = math.radians(degrees)
    matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return np.asarray(rectangle(-width / 2, -height / 2, width, height) @ matrix + [x, y])


def around(centre: tuple[float, float], radii: Sequence[float]) -> NDArray[Any]:
    """A simple outline with one vertex per radius."""
    angles = np.arange(len(radii)) * 2 * math.pi / len(radii)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(centre + np.array(radii)[:, None] * directions)


def build(
    *polygons: NDArray[Any], ignore: Sequence[bool] | None = None, size: int = SIZE, **options: Any
) -> Targets:
    ignore = [False] * len(polygons) if ignore is None else ignore
    return build_targets(polygons, ignore, size, size, **options)


# --- The definition -----------------------------------------------------------------------------

places = st.floats(-20, SIZE + 20)
quads = st.builds(rotated, places, places, st.floats(2, 120), st.floats(2, 50), st.floats(0, 360))
blobs = st.builds(
    around, st.tuples(places, places), st.lists(st.floats(6, 60), min_size=3, max_size=24)
)
# In sixteenths of a pixel, which floats hold exactly: offsets truncate to whole pixels, and should
# not hang on the last bit of a coordinate.
outlines = (quads | blobs).map(lambda points: np.round(points * 16) / 16)


@given(st.lists(st.tuples(outlines, st.booleans()), max_size=5))
@example([(around((0.0, 1.0), [6, 11, 6, 6, 6, 6, 6, 6, 6]), False)])  # a pixel at a right angle
def test_targets_equal_the_definition(words: list[tuple[NDArray[Any], bool]]) -> None:
    polygons, ignore = [word[0] for word in words], [word[1] for word in words]
    assume(all(shapely.Polygon(polygon).is_valid for polygon in polygons))
    targets = build(*polygons, ignore=ignore)
    shrink_map, shrink_mask, lowest, thresh_mask = reference_targets(
        polygons, ignore, SIZE, SIZE, widened=-1e-4
    )
    highest = reference_targets(polygons, ignore, SIZE, SIZE, widened=1e-4)[2]
    np.testing.assert_array_equal(targets.shrink_map, shrink_map)
    np.testing.assert_array_equal(targets.shrink_mask, shrink_mask)
    np.testing.assert_array_equal(targets.thresh_mask, thresh_mask)
    assert (targets.thresh_map >= lowest - 1e-3).all()
    assert (targets.thresh_map <= highest + 1e-3).all()
    assert targets.dropped == 0


def test_maps_have_the_types_that_keep_batches_small() -> None:
    targets = build_targets([rectangle(4, 4, 40, 16)], [False], 32, 64)
    binary = (targets.shrink_map, targets.shrink_mask, targets.thresh_mask)
    assert {(plane.dtype.name, plane.shape) for plane in binary} == {("uint8", (32, 64))}
    assert (targets.thresh_map.dtype.name, targets.thresh_map.shape) == ("float32", (32, 64))


def test_page_without_text_counts_everywhere_as_background() -> None:
    targets = build()
    assert targets.shrink_mask.all()
    assert not targets.shrink_map.any() and not targets.thresh_mask.any()


def test_threshold_options_are_the_bounds_of_the_map() -> None:
    targets = build(rectangle(40, 40, 80, 40), thresh_min=0.1, thresh_max=0.9)
    assert targets.thresh_map[40, 80] == pytest.approx(0.9)
    assert targets.thresh_map[0, 0] == pytest.approx(0.1)


@pytest.mark.parametrize("ratio", [0, 1, -0.4])
def test_shrink_ratio_outside_its_range_is_refused(ratio: float) -> None:
    with pytest.raises(ConfigError, match="shrink_ratio"):
        build(shrink_ratio=ratio)


# --- What goes wrong elsewhere ------------------------------------------------------------------


def test_threshold_has_no_holes_on_slanted_edges() -> None:
    diamond = np.array([[80.0, 20], [140, 80], [80, 140], [20, 80]])
    thresholds = build(diamond).thresh_map
    on_edges = [thresholds[20 + k, 80 + k] for k in range(60)]
    on_edges += [thresholds[80 + k, 20 + k] for k in range(60)]
    np.testing.assert_allclose(on_edges, 0.7, atol=1e-4)


def test_text_too_small_to_learn_draws_no_border_either() -> None:
    targets = build(rectangle(20, 20, 60, 7))
    assert not targets.shrink_map.any() and not targets.thresh_mask.any()
    assert not targets.shrink_mask[20:28, 20:81].any()
    assert targets.dropped == 0


def test_text_that_shrinks_to_nothing_is_ignored() -> None:
    sliver = np.array([[10.0, 10.9], [60.0, 60.9], [60.9, 60.0], [10.9, 10.0]])
    targets = build(sliver)
    assert not targets.shrink_map.any() and not targets.thresh_mask.any()
    assert targets.shrink_mask[40, 40] == 0


def test_text_with_a_thin_neck_shrinks_to_one_piece() -> None:
    # Two blocks of 50 x 40 and a bridge of 30 x 12: shrunk by the ratio 0.4, the bridge is gone.
    blocks = shapely.box(10, 10, 60, 50) | shapely.box(90, 10, 140, 50)
    joined = blocks | shapely.box(60, 24, 90, 36)
    neck = shapely.get_coordinates(joined)[:-1]
    targets = build(neck)
    assert targets.shrink_map[30, 35] and targets.shrink_map[30, 115]
    assert targets.shrink_map[30, 35:116].all()


def test_ignored_text_is_masked_and_nothing_else() -> None:
    targets = build(rectangle(20, 20, 60, 20), ignore=[True])
    assert targets.shrink_mask.sum() == SIZE**2 - 61 * 21
    assert not targets.shrink_map.any() and not targets.thresh_mask.any()
    assert targets.dropped == 0


def test_given_polygons_are_not_changed() -> None:
    word = rectangle(-10, 20, 60, 20)
    before = word.copy()
    build(word)
    np.testing.assert_array_equal(word, before)


# --- Polygons that leave the map ----------------------------------------------------------------


def test_text_across_the_edge_is_what_is_left_of_it() -> None:
    across = build(rotated(150, 80, 80, 30, 20))
    assert across.shrink_map.any()
    visible = shapely.Polygon(rotated(150, 80, 80, 30, 20)) & shapely.box(0, 0, SIZE - 1, SIZE - 1)
    cut = build(shapely.get_coordinates(visible)[:-1])
    np.testing.assert_array_equal(across.shrink_map, cut.shrink_map)
    np.testing.assert_allclose(across.thresh_map, cut.thresh_map, atol=1e-4)


def test_two_ends_of_text_whose_middle_is_outside_are_two_texts() -> None:
    bridge = np.array(
        [[20.0, 100], [20, -40], [120, -40], [120, 100], [80, 100], [80, -5], [60, -5], [60, 100]]
    )
    targets = build(bridge)
    assert targets.shrink_map[50, 40] and targets.shrink_map[50, 100]
    assert not targets.shrink_map[:, 70].any()


def test_text_outside_the_map_leaves_no_trace() -> None:
    targets = build(rectangle(500, 500, 60, 20), rectangle(-90, 10, 60, 20))
    assert targets.shrink_mask.all() and not targets.shrink_map.any()
    assert (targets.thresh_map == np.float32(0.3)).all()
    assert targets.dropped == 0


def test_text_larger_than_the_map_fills_it() -> None:
    assert build(rectangle(-1e6, -1e6, 3e6, 3e6)).shrink_map[SIZE // 2, SIZE // 2] == 1


# --- Polygons that outline nothing --------------------------------------------------------------


@pytest.mark.parametrize(
    "polygon",
    [
        pytest.param(np.empty((0, 2)), id="no points"),
        pytest.param(np.array([[20.0, 20], [60, 40]]), id="two points"),
        pytest.param(np.array([[20.0, 20], [60, 40], [20, 20], [60, 40]]), id="two distinct"),
        pytest.param(np.array([[20.0, 20], [40, 30], [60, 40]]), id="collinear"),
        pytest.param(rectangle(20, 20, 0.9, 0.9), id="below one square pixel"),
        pytest.param(np.full((4, 2), np.nan), id="not finite"),
        pytest.param(
            np.array([[20, 20], [60, 20], [60, 40], [np.nan, 40]]), id="one is not finite"
        ),
        pytest.param(rectangle(-1e300, -1e300, 2e300, 2e300), id="no place on an image"),
    ],
)
def test_degenerate_polygon_is_dropped_counted_and_masked(polygon: NDArray[Any]) -> None:
    targets = build(polygon, rectangle(80, 80, 60, 30))
    assert targets.dropped == 1
    assert targets.shrink_map[95, 110] == 1
    for x, y in polygon[(np.abs(polygon) < SIZE).all(axis=1)].astype(int):
        assert targets.shrink_mask[y, x] == 0


def test_corners_in_crossed_order_are_the_quad_that_they_span() -> None:
    word = rotated(80, 80, 90, 40, 10)
    crossed = build(word[[0, 2, 1, 3]])
    np.testing.assert_array_equal(crossed.shrink_map, build(word).shrink_map)
    assert crossed.dropped == 0


def test_small_knot_is_cut_off() -> None:
    knotted = np.concatenate([rectangle(20, 40, 100, 40), [[19, 36], [23, 36]]])
    targets = build(knotted)
    assert targets.dropped == 0
    assert targets.shrink_map[60, 70] == 1


@pytest.mark.parametrize(
    "outline",
    [
        pytest.param([[20, 20], [80, 80], [140, 20], [140, 140], [80, 80], [20, 140]], id="point"),
        pytest.param(
            [
                *[[80, 20], [140, 20], [140, 140], [20, 140], [20, 20], [80, 20]],
                *[[80, 60], [60, 60], [60, 100], [100, 100], [100, 60], [80, 60]],
            ],
            id="seam",
        ),
    ],
)
def test_outline_that_touches_itself_is_text(outline: NDArray[Any]) -> None:
    targets = build(np.array(outline, float))
    assert targets.dropped == 0 and targets.shrink_mask.all()
    assert targets.shrink_map[80, 38] and targets.shrink_map[80, 122]
    assert not targets.shrink_map[80, 80]


def test_how_an_array_lies_in_memory_changes_nothing() -> None:
    word = rotated(80, 80, 90, 40, 10)
    other = np.asfortranarray(word.astype(np.float32))[::-1]
    other.flags.writeable = False
    np.testing.assert_array_equal(build(word).shrink_map, build(other).shrink_map)


def test_outline_beyond_repair_is_dropped_counted_and_masked() -> None:
    star = around((80, 80), [70] * 5)[[0, 2, 4, 1, 3]]
    targets = build(star)
    assert targets.dropped == 1
    assert not targets.shrink_map.any() and not targets.thresh_mask.any()
    assert targets.shrink_mask[80, 140] == 0


def spiral(inner: float) -> NDArray[Any]:
    """A band along a spiral, whose inside is at `inner` of its outside's radius."""
    turns = np.linspace(0, 3.5 * math.pi, 40)
    outside = np.stack([np.cos(turns), np.sin(turns)], axis=1) * (20 + 4 * turns)[:, None]
    return np.asarray(80 + np.concatenate([outside, (outside * inner)[::-1]]))


def test_spiral_is_text() -> None:
    targets = build(spiral(inner=0.72))
    assert targets.dropped == 0
    assert targets.shrink_map.any()


def test_spiral_that_runs_into_itself_is_dropped() -> None:
    targets = build(spiral(inner=0.6))
    assert targets.dropped == 1
    assert not targets.shrink_map.any() and not targets.shrink_mask.all()


anything = st.lists(
    st.tuples(*[st.floats(-300, 300) | st.integers(-20, SIZE + 20)] * 2), max_size=14
).map(lambda points: np.array(points, float).reshape(-1, 2))


@given(st.lists(st.tuples(anything, st.booleans()), max_size=4))
def test_no_polygon_breaks_the_maps(words: list[tuple[NDArray[Any], bool]]) -> None:
    targets = build(*[word[0] for word in words], ignore=[word[1] for word in words])
    for plane in (targets.shrink_map, targets.shrink_mask, targets.thresh_mask):
        assert plane.max() <= 1
    assert np.isfinite(targets.thresh_map).all()
    assert targets.thresh_map.min() >= np.float32(0.3)
    assert targets.thresh_map.max() <= np.float32(0.7) + 1e-6
    assert 0 <= targets.dropped <= sum(not word[1] for word in words)
