"""What counts as a mistake, its kind, and with which text it happens."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.data.page import Page, TextBox
from detector.evaluation.mistakes import (
    Mistakes,
    PageMistakes,
    by_angle,
    by_density,
    by_height,
    count_kinds,
    find_mistakes,
)


def word(left: float, top: float = 0, width: float = 80, height: float = 20) -> NDArray[np.float64]:
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


NEXT = word(100)
TRUTH = [TextBox(word(0)), TextBox(NEXT)]
NONE = Mistakes((), (), (), ())


@pytest.mark.parametrize(
    ("predictions", "mistakes"),
    [
        ([word(0), NEXT], NONE),
        ([word(0)], Mistakes((1,), (), (), ())),
        ([word(0), word(100, width=30)], Mistakes((1,), (), (), ())),
        ([word(0, width=38), word(42, width=38), NEXT], Mistakes((), (0,), (), ())),
        ([word(0, width=180)], Mistakes((), (), (0,), ())),
        ([word(0), NEXT, word(0, 200)], Mistakes((), (), (), (2,))),
        ([word(-2, -2, 84, 24), word(98, -2, 84, 24)], NONE),
        ([], Mistakes((0, 1), (), (), ())),
    ],
)
def test_each_kind_of_mistake_is_told_from_the_others(
    predictions: list[NDArray[np.float64]], mistakes: Mistakes
) -> None:
    assert find_mistakes(TRUTH, predictions) == mistakes


def test_a_dont_care_is_neither_missed_nor_split_nor_false() -> None:
    dont_care = [TextBox(word(0), ignore=True)]
    assert find_mistakes(dont_care, []) == NONE
    assert find_mistakes(dont_care, [word(0, width=38), word(42, width=38)]) == NONE


def page(boxes: list[TextBox], predictions: list[NDArray[np.float64]]) -> PageMistakes:
    return PageMistakes(
        Page("a.jpg", Path("a.jpg"), tuple(boxes)), predictions, find_mistakes(boxes, predictions)
    )


def test_small_text_that_is_missed_shows_in_its_own_row() -> None:
    boxes = [TextBox(word(0, 50 * i, height=8 + 4 * i)) for i in range(8)]
    rows = by_height([page(boxes, [box.points for box in boxes[2:]])])
    assert rows[0].label == "below 15 px high"
    assert [(row.words, row.found) for row in rows] == [(2, 0), (2, 2), (2, 2), (2, 2)]


def test_a_single_digit_runs_as_the_text_of_its_page_does() -> None:
    digit = np.array([[300, 0], [308, 0], [308, 20], [300, 20]])
    rows = by_angle([page([TextBox(word(0)), TextBox(digit)], [word(0), digit])])
    assert [(row.words, row.predictions) for row in rows] == [(2, 2), (0, 0), (0, 0), (0, 0)]


def test_kinds_of_mistakes_are_counted_with_the_page_that_has_most() -> None:
    good = page([TextBox(word(0))], [word(0)])
    bad = page([TextBox(word(0)), TextBox(word(0, 90))], [word(0, 300), word(0, 600)])
    missed, split, merged, false = count_kinds([good, bad])
    assert (missed.count, missed.of, missed.among, missed.page) == (2, 3, "words", bad.page.name)
    assert (false.count, false.of, false.among, false.on_page) == (2, 3, "finds", 2)
    assert (split.count, split.page, merged.count, merged.page) == (0, None, 0, None)


def test_the_tilt_is_that_of_the_longer_side() -> None:
    turned = word(0) @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    rows = by_angle([page([TextBox(word(300)), TextBox(turned)], [word(300)])])
    assert [(row.label, row.words, row.found) for row in rows] == [
        ("tilted below 2°", 1, 1),
        ("tilted 2 to 10°", 0, 0),
        ("tilted 10 to 45°", 0, 0),
        ("tilted at least 45°", 1, 0),
    ]


def test_a_false_find_counts_against_the_density_of_its_page() -> None:
    sparse = page([TextBox(word(0))], [word(0), word(0, 300)])
    dense = page([TextBox(word(100 * i)) for i in range(9)], [word(100 * i) for i in range(9)])
    rows = {row.label: (row.predictions, row.true) for row in by_density([sparse, dense])}
    assert sum(total for total, _ in rows.values()) == 11
    assert sum(true for _, true in rows.values()) == 10


def test_pages_without_words_have_no_rows() -> None:
    assert by_height([page([], [])]) == []
