import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from detector.data.page import TextBox
from detector.evaluation.overlay import (
    DONT_CARE,
    FOUND,
    MISSED,
    draw_overlay,
    encode_jpeg,
    encode_png,
)

PAGE = np.full((200, 300, 3), 255, np.uint8)


def _word(left: float, top: float, width: float = 60, height: float = 20) -> NDArray[np.float64]:
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def _colors(image: NDArray[np.uint8]) -> set[tuple[int, ...]]:
    return {tuple(color) for color in np.unique(image.reshape(-1, 3), axis=0).tolist()}


def test_a_prediction_is_outlined_in_green_and_filled_lightly() -> None:
    drawn = draw_overlay(PAGE, [_word(10, 10)])
    assert tuple(drawn[10, 40]) == FOUND
    assert (drawn[20, 40] > 200).all() and (drawn[20, 40] < 255).any()
    assert (drawn[100:] == 255).all()


def test_only_a_missed_word_is_red() -> None:
    truth = [TextBox(_word(10, 10)), TextBox(_word(10, 100))]
    drawn = draw_overlay(PAGE, [_word(12, 11)], truth)
    assert tuple(drawn[100, 40]) == MISSED
    assert MISSED not in _colors(drawn[:60])


@pytest.mark.parametrize("shift, missed", [(18, False), (22, True)])
def test_a_word_is_missed_below_an_iou_of_one_half(shift: float, missed: bool) -> None:
    drawn = draw_overlay(PAGE, [_word(10 + shift, 10)], [TextBox(_word(10, 10))])
    assert (MISSED in _colors(drawn)) == missed


def test_dont_cares_are_grey_whether_found_or_not() -> None:
    drawn = draw_overlay(PAGE, [], [TextBox(_word(10, 10), ignore=True)])
    assert tuple(drawn[10, 40]) == DONT_CARE
    assert MISSED not in _colors(drawn)


def test_lines_grow_with_the_page_and_the_page_itself_is_not_changed() -> None:
    large = np.full((2400, 1200, 3), 255, np.uint8)
    drawn = draw_overlay(large, [_word(100, 100, 400, 200)])
    column = (drawn[:200, 300] == FOUND).all(axis=1)
    assert column.sum() >= 4
    assert (large == 255).all()


def test_an_outline_beyond_the_page_and_a_curved_one_are_drawn() -> None:
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    round_word = np.stack([150 + 40 * np.cos(angles), 100 + 30 * np.sin(angles)], axis=1)
    drawn = draw_overlay(PAGE, [_word(-30, -5), round_word])
    assert (drawn[100, 150] < 255).any()
    assert drawn.shape == PAGE.shape


def test_png_keeps_every_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(image))) as decoded:
        np.testing.assert_array_equal(np.asarray(decoded), image)


def test_jpeg_is_scaled_and_held_to_its_size_in_bytes() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (1600, 800, 3), dtype=np.uint8)
    encoded = encode_jpeg(noisy, longest_side=400, max_bytes=40_000)
    assert len(encoded) <= 40_000
    with Image.open(io.BytesIO(encoded)) as decoded:
        assert (decoded.format, decoded.size) == ("JPEG", (200, 400))


def test_jpeg_does_not_enlarge_and_keeps_red_red() -> None:
    red = np.zeros((40, 30, 3), np.uint8)
    red[..., 0] = 255
    with Image.open(io.BytesIO(encode_jpeg(red))) as decoded:
        assert decoded.size == (30, 40)
        pixel = np.asarray(decoded)[20, 15].astype(int)
    assert pixel[0] > 240 and pixel[2] < 20
