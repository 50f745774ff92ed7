"""Decoding: the reference's boxes, and sensible answers for maps that no text made."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.data.targets import build_targets
from detector.detecting.postprocess import Detections, decode, rescale
from detector.errors import ModelError
from tests.detecting.reference_postprocess import reference_decode, reference_decode_polygons
from tests.shapes import rectangle

HEIGHT, WIDTH = 120, 160


def blank() -> NDArray[Any]:
    return np.zeros((HEIGHT, WIDTH), np.float32)


def block(left: float, top: float, right: float, bottom: float, value: float = 0.9) -> NDArray[Any]:
    """A map with one block of text, right and bottom included."""
    heat = blank()
    heat[top : bottom + 1, left : right + 1] = value
    return heat


def receipt(seed: int, words: int = 40, size: int = 480) -> NDArray[Any]:
    """A map as a network might give it: blurred kernels of turned words, noise and specks."""
    random = np.random.default_rng(seed)
    heat: NDArray[Any] = np.zeros((size, size), np.float32)
    for _ in range(words):
        shape = (random.uniform(20, 120), random.uniform(6, 18))
        place = random.uniform(0, size, 2).tolist()
        corners = cv2.boxPoints((place, shape, random.uniform(-30, 30)))
        cv2.fillPoly(heat, [corners.astype(np.int32)], float(random.uniform(0.35, 1)))
    heat = cv2.GaussianBlur(heat, (5, 5), 1) + random.normal(0, 0.03, heat.shape)
    return np.clip(heat, 0, 1).astype(np.float32)


# --- Against the reference ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_quads_and_their_scores_are_the_reference_s(seed: int) -> None:
    heat = receipt(seed)
    found, expected = decode(heat), reference_decode(heat)
    assert len(found) == len(expected) > 10
    for quad, score, (expected_quad, expected_score) in zip(
        found.polygons, found.scores, expected, strict=True
    ):
        np.testing.assert_array_equal(quad, expected_quad)
        assert score == pytest.approx(expected_score, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_polygons_and_their_scores_are_the_reference_s(seed: int) -> None:
    heat = receipt(seed)
    found, expected = decode(heat, polygons=True), reference_decode_polygons(heat)
    assert len(found) == len(expected) > 10
    for polygon, score, (expected_polygon, expected_score) in zip(
        found.polygons, found.scores, expected, strict=True
    ):
        np.testing.assert_array_equal(polygon, expected_polygon)
        assert score == pytest.approx(expected_score, abs=1e-6)


rectangles = st.tuples(
    *[st.floats(-10, WIDTH + 10)] * 2,
    *[st.floats(1, 80)] * 2,
    st.floats(-90, 90),
    st.floats(0.3, 1),
)


@given(st.lists(rectangles, max_size=6))
def test_any_map_of_rectangles_decodes_to_the_reference_s_quads(
    words: list[tuple[float, float, float, float, float, float]],
) -> None:
    heat = blank()
    for x, y, width, height, angle, value in words:
        corners = cv2.boxPoints(((x, y), (width, height), angle))
        cv2.fillPoly(heat, [corners.astype(np.int32)], value)
    found, expected = decode(heat, box_thresh=0), reference_decode(heat, box_thresh=0)
    assert len(found) == len(expected)
    for quad, score, (expected_quad, expected_score) in zip(
        found.polygons, found.scores, expected, strict=True
    ):
        np.testing.assert_array_equal(quad, expected_quad)
        assert score == pytest.approx(expected_score, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.booleans(), st.floats(0, 0.9))
def test_noise_breaks_nothing(seed: int, polygons: bool, smoothness: float) -> None:
    noise = np.random.default_rng(seed).random((40, 50)).astype(np.float32)
    heat = np.asarray(cv2.GaussianBlur(noise, (5, 5), 0.3 + 2 * smoothness), np.float32)
    found = decode(heat, thresh=0.5, box_thresh=0, min_size=0, polygons=polygons)
    assert len(found.polygons) == len(found.scores) == len(found)
    assert all(0 <= score <= 1 for score in found.scores)
    for polygon in found.polygons:
        assert (polygon >= 0).all() and (polygon <= (50, 40)).all()


# --- The way back from the training targets -----------------------------------------------------


def test_decoding_a_shrink_map_gives_the_word_back() -> None:
    word = rectangle(30, 40, 90, 30)
    heat = build_targets([word], [False], HEIGHT, WIDTH).shrink_map.astype(np.float32)
    (quad,) = decode(heat).polygons
    np.testing.assert_allclose(quad, word, atol=3)


# --- Shapes of maps -----------------------------------------------------------------------------


@pytest.mark.parametrize("polygons", [False, True])
def test_empty_map_has_no_text(polygons: bool) -> None:
    found = decode(blank(), polygons=polygons)
    assert found.polygons == [] and found.scores.shape == (0,)
    assert found.scores.dtype == np.float32


@pytest.mark.parametrize("polygons", [False, True])
def test_full_map_is_one_text_clipped_to_the_map(polygons: bool) -> None:
    (outline,) = decode(np.ones((HEIGHT, WIDTH), np.float32), polygons=polygons).polygons
    assert outline.min(axis=0).tolist() == [0, 0]
    assert outline.max(axis=0).tolist() == [WIDTH, HEIGHT]


def test_quad_is_clockwise_from_the_top_left() -> None:
    (quad,) = decode(block(30, 40, 90, 60)).polygons
    (left, top), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
    assert quad.tolist() == [[left, top], [right, top], [right, bottom], [left, bottom]]
    assert quad.shape == (4, 2) and quad.dtype == np.float32


def test_text_at_the_border_stays_within_the_map() -> None:
    (quad,) = decode(block(0, 0, 60, 12)).polygons
    assert quad[0].tolist() == [0, 0]
    assert quad[2, 0] > 60 and quad[2, 1] > 12


def ring() -> NDArray[Any]:
    heat = blank()
    cv2.circle(heat, (80, 60), 50, 0.9, thickness=6)
    return heat


@pytest.mark.parametrize("polygons", [False, True])
def test_hole_of_a_ring_is_not_text(polygons: bool) -> None:
    assert len(decode(ring(), box_thresh=0, polygons=polygons)) == 1


@pytest.mark.parametrize("polygons", [False, True])
def test_text_inside_a_ring_is_found(polygons: bool) -> None:
    heat = np.maximum(ring(), block(60, 55, 100, 65))
    found = decode(heat, box_thresh=0, polygons=polygons)
    assert len(found) == 2
    widths = sorted(float(np.ptp(outline[:, 0])) for outline in found.polygons)
    assert 40 < widths[0] < 70 and widths[1] > 100


def test_four_thousand_specks_are_not_text() -> None:
    heat = np.zeros((640, 640), np.float32)
    heat[5::10, 5::10] = 1
    heat[6::10, 5::10] = 1
    assert (heat > 0).sum() > 8000
    assert len(decode(heat)) == len(decode(heat, polygons=True)) == 0


def test_all_of_a_thousand_words_are_kept() -> None:
    heat = np.zeros((1280, 1280), np.float32)
    for y in range(10, 1270, 25):
        for x in range(10, 1240, 50):
            heat[y : y + 6, x : x + 30] = 1
    assert len(decode(heat)) == 51 * 25


@pytest.mark.parametrize("angle", [0, 90, 33])
@pytest.mark.parametrize("polygons", [False, True])
def test_thin_lines_are_not_text(angle: float, polygons: bool) -> None:
    heat = blank()
    direction = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    ends = np.array([80, 60]) + 40 * np.array([[-1], [1]]) * direction
    cv2.line(heat, ends[0].astype(int).tolist(), ends[1].astype(int).tolist(), 1.0, 1)
    assert len(decode(heat, polygons=polygons)) == 0


def test_curved_text_keeps_its_curve_as_a_polygon() -> None:
    heat = blank()
    cv2.ellipse(heat, (80, 110), (60, 70), 0, 200, 340, 1.0, thickness=10)
    (polygon,) = decode(heat, polygons=True).polygons
    assert len(polygon) > 8
    assert cv2.pointPolygonTest(polygon, (80, 40), measureDist=False) > 0
    assert cv2.pointPolygonTest(polygon, (80, 90), measureDist=False) < 0


def test_steps_of_the_map_s_pixels_are_not_part_of_a_polygon() -> None:
    heat = blank()
    cv2.fillPoly(heat, [np.array([[20, 40], [140, 46], [140, 62], [20, 56]])], 1.0)
    (polygon,) = decode(heat, polygons=True, unclip_ratio=0).polygons
    assert len(polygon) == 4


def test_polygon_that_closes_on_itself_when_expanded_keeps_its_outside() -> None:
    heat = blank()
    cv2.ellipse(heat, (80, 60), (40, 40), 0, 8, 352, 1.0, thickness=14)
    (polygon,) = decode(heat, polygons=True, unclip_ratio=2.5).polygons
    assert np.ptp(polygon[:, 0]) > 90


# --- Options ------------------------------------------------------------------------------------


def two_words() -> NDArray[Any]:
    unsure, sure = block(10, 10, 60, 24, value=0.6), block(80, 70, 140, 90, value=0.95)
    return np.asarray(np.maximum(unsure, sure))


def test_threshold_is_exclusive() -> None:
    assert len(decode(block(10, 10, 60, 24, value=0.5), thresh=0.5)) == 0
    assert len(decode(block(10, 10, 60, 24, value=0.51), thresh=0.5)) == 1


def test_box_threshold_drops_uncertain_text() -> None:
    (score,) = decode(two_words(), box_thresh=0.8).scores
    assert score == pytest.approx(0.95)


def test_score_is_the_mean_within_the_rectangle() -> None:
    heat = block(20, 20, 59, 39, value=1.0)
    heat[25:35, 30:50] = 0.4
    (score,) = decode(heat).scores
    assert score == pytest.approx(1 - 0.6 * 200 / 800)


def test_unclip_ratio_widens_by_area_over_perimeter() -> None:
    (quad,) = decode(block(40, 40, 100, 60), unclip_ratio=1.5).polygons
    distance = 60 * 20 * 1.5 / (2 * (60 + 20))
    np.testing.assert_allclose(quad[0], [40 - distance, 40 - distance], atol=1)


def test_min_size_is_the_shorter_side() -> None:
    assert len(decode(block(10, 10, 60, 14), min_size=5)) == 0
    assert len(decode(block(10, 10, 60, 15), min_size=5)) == 1


@pytest.mark.parametrize("polygons", [False, True])
def test_max_candidates_keeps_the_surest(polygons: bool) -> None:
    (score,) = decode(two_words(), max_candidates=1, polygons=polygons).scores
    assert score == pytest.approx(0.95)


# --- Rescaling ----------------------------------------------------------------------------------


def test_rescaling_maps_to_the_image_and_clips_at_its_border() -> None:
    found = Detections(
        [np.array([[5, 5], [50, 5], [50, 9], [5, 9]], np.float32)], np.ones(1, np.float32)
    )
    (quad,) = rescale(found, 2, 3, width=80, height=40).polygons
    assert quad.tolist() == [[10, 15], [80, 15], [80, 27], [10, 27]]
    assert quad.dtype == np.float32


def test_rescaling_leaves_the_given_detections_alone() -> None:
    found = decode(block(30, 40, 90, 60))
    before = found.polygons[0].copy()
    rescale(found, 2, 2, 10, 10)
    np.testing.assert_array_equal(found.polygons[0], before)


def test_rescaling_nothing_gives_nothing() -> None:
    assert len(rescale(decode(blank()), 2, 2, 320, 240)) == 0


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("polygons", [False, True])
def test_a_map_that_is_not_finite_is_an_error_and_no_empty_page(
    number: float, polygons: bool
) -> None:
    heat = blank()
    heat[3, 4] = number
    with pytest.raises(ModelError, match="not finite"):
        decode(heat, polygons=polygons)
