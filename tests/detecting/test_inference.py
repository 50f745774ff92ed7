"""Inference's own steps; detection as a whole is tested where networks are."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.config.schema import PostprocessConfig, ResizeConfig
from detector.data.resize import resize_page
from detector.detecting.inference import Image, detect_resized, detect_text, normalise

READ = PostprocessConfig(unclip_ratio=0)
RULES = [ResizeConfig(side=256), ResizeConfig(rule="shortest_side", side=128, max_side=512)]


def dark(picture: Image) -> NDArray[np.float32]:
    """A network that sees 16 pixels around each, and so draws another map near a cut."""
    mean = cv2.blur(picture[..., 0], (33, 33), borderType=cv2.BORDER_CONSTANT)
    return ((picture[..., 0] < 128) & (mean < 254)).astype(np.float32)


def strip(length: int, tops: Sequence[int], is_wide: bool) -> Image:
    page = np.full((length, 60, 3), 255, np.uint8)
    for top in tops:
        page[top : top + 8, 6:50] = 0
    return np.ascontiguousarray(page.transpose(1, 0, 2)) if is_wide else page


@settings(deadline=None, max_examples=30)
@given(
    st.integers(500, 2500),
    st.lists(st.integers(0, 160), max_size=8, unique=True),
    st.booleans(),
    st.sampled_from(RULES),
)
def test_a_page_in_parts_has_the_text_that_it_has_as_a_whole(
    length: int, places: list[int], is_wide: bool, rule: ResizeConfig
) -> None:
    tops = [place * 15 for place in sorted(places) if place * 15 + 8 < length]
    page = resize_page(strip(length, tops, is_wide), rule)
    in_parts = detect_resized(page, dark, READ)
    whole = detect_resized(page._replace(part=None), dark, READ)
    assert len(in_parts) == len(whole) == len(tops)
    for one, other in zip(in_parts, whole, strict=True):
        np.testing.assert_allclose(one.points, other.points)


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_a_long_strip_has_its_text(is_wide: bool, rule: ResizeConfig) -> None:
    """As a whole at the network's size, its letters would be less than a pixel high."""
    tops = range(20, 3400, 100)
    found = detect_text(strip(3414, tops, is_wide), dark, rule, READ)
    axis = 0 if is_wide else 1
    starts = sorted(outline.points[:, axis].min() for outline in found)
    np.testing.assert_allclose(starts, list(tops), atol=1.5)


def test_one_text_along_a_whole_strip_has_one_outline() -> None:
    page = np.full((60, 3000, 3), 255, np.uint8)
    page[20:40, 10:2990] = 0
    (outline,) = detect_text(page, dark, RULES[0], READ)
    np.testing.assert_allclose(outline.points[[0, 2]], [[10, 20], [2990, 40]], atol=2)


def test_a_strip_of_any_length_fits_into_memory() -> None:
    page = resize_page(np.full((2, 200_000, 3), 255, np.uint8), ResizeConfig(side=1280))
    assert max(page.pixels.shape) <= 32_000


def test_normalised_values_are_exactly_those_of_the_formula() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    picture = np.arange(256 * 3, dtype=np.int64).reshape(16, 16, 3).astype(np.uint8)
    wanted = (picture / np.float32(255) - np.array(mean, np.float32)) / np.array(std, np.float32)
    found = normalise(picture, mean, std)
    assert found.dtype == np.float32
    assert found.shape == (1, 3, 16, 16)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), wanted)
