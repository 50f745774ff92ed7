"""What is an error, a warning or nothing about the outlines on a page."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.data.boxes import box_problems
from detector.data.page import TextBox

_SIZE = (100, 50)


def _box(*points: tuple[float, float]) -> TextBox:
    return TextBox(np.array(points, dtype=np.float64))


def _rectangle(left: float, top: float, right: float, bottom: float) -> TextBox:
    return _box((left, top), (right, top), (right, bottom), (left, bottom))


@pytest.mark.parametrize(
    "box",
    [
        _rectangle(10, 10, 30, 20),
        _rectangle(0, 0, 100, 50),
        _box((10, 10), (30, 15), (28, 25), (8, 20)),
        _box((10, 10), (30, 10), (20, 20)),
        _box((10, 10), (20, 12), (30, 10), (30, 20), (20, 22), (10, 20)),
    ],
)
def test_sound_outline_has_no_problem(box: TextBox) -> None:
    assert box_problems([box], _SIZE) == []


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (_rectangle(10, 10, 10, 10), "encloses no area"),
        (_rectangle(10, 10, 30, 10), "encloses no area"),
        (_box((1, 1), (2, 2), (3, 3)), "encloses no area"),
        (_box((10, 10), (30, 20), (30, 10), (10, 20)), "crosses or touches itself"),
        (_rectangle(100, 10, 120, 20), "lies outside the image, 100x50 pixels"),
        (_rectangle(-20, 10, 0, 20), "lies outside the image"),
        (_rectangle(10, 50, 20, 60), "lies outside the image"),
        (_rectangle(10, -9, 20, -1), "lies outside the image"),
    ],
)
def test_damaged_outline_is_an_error(box: TextBox, reason: str) -> None:
    ((index, level, found),) = box_problems([_rectangle(1, 1, 9, 9), box], _SIZE)
    assert (index, level) == (1, "error")
    assert reason in found


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        (_rectangle(90, 10, 101, 20), "1 pixels"),
        (_rectangle(-2.5, 10, 10, 20), "2.5 pixels"),
        (_rectangle(10, -3, 20, 59), "9 pixels"),
    ],
)
def test_outline_partly_outside_is_a_warning_that_says_by_how_much(
    box: TextBox, pixels: str
) -> None:
    ((_, level, reason),) = box_problems([box], _SIZE)
    assert level == "warning"
    assert f"{pixels} over the border" in reason


def test_anti_clockwise_outline_is_a_warning() -> None:
    box = _box((10, 10), (10, 20), (30, 20), (30, 10))
    assert box_problems([box], _SIZE) == [(0, "warning", "the outline runs anti-clockwise")]


def test_repeated_outline_is_a_warning_at_the_later_box() -> None:
    boxes = [_rectangle(1, 1, 9, 9), _rectangle(2, 2, 9, 9), _rectangle(1, 1, 9, 9)]
    assert box_problems(boxes, _SIZE) == [(2, "warning", "an earlier box has the same outline")]


def test_image_of_unknown_size_has_no_border() -> None:
    assert box_problems([_rectangle(900, 900, 990, 990)], (float("inf"), float("inf"))) == []


@given(st.floats(-150, 150), st.floats(-150, 150), st.floats(1, 90), st.floats(1, 90))
def test_rectangle_is_outside_only_if_it_shares_no_area_with_the_image(
    left: float, top: float, width: float, height: float
) -> None:
    right, bottom = left + width, top + height
    shared = max(min(right, 100) - max(left, 0), 0) * max(min(bottom, 50) - max(top, 0), 0)
    levels = [level for _, level, _ in box_problems([_rectangle(left, top, right, bottom)], _SIZE)]
    is_inside = left >= 0 and top >= 0 and right <= 100 and bottom <= 50
    if is_inside:
        assert levels == []
    else:
        assert levels == ["error" if shared == 0 else "warning"]
