"""Words joined to lines: nothing is lost, and what stands in a line is one."""

from collections.abc import Sequence
from random import Random

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from detector.data.page import TextBox
from detector.data.to_lines import joined_to_lines

_HEIGHT = 10.0


def _word(x: float, y: float, width: float, text: str | None, degrees: float = 0) -> TextBox:
    turn = np.deg2rad(degrees)
    cos, sin = np.cos(turn), np.sin(turn)
    corners = np.array([[x, y], [x + width, y], [x + width, y + _HEIGHT], [x, y + _HEIGHT]])
    return TextBox(corners @ np.array([[cos, sin], [-sin, cos]]), text)


_LINES = st.lists(
    st.lists(
        # The gap before a word, how far it lies above or below its line, and its width.
        st.tuples(st.floats(0.5, 9.5), st.floats(-2, 2), st.floats(3, 60)),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=6,
)


@given(_LINES, st.floats(-180, 180), st.randoms(use_true_random=False))
def test_words_of_a_line_are_one_and_lines_stay_apart(
    lines: Sequence[Sequence[tuple[float, float, float]]], degrees: float, random: Random
) -> None:
    words, expected = [], set()
    for row, line in enumerate(lines):
        x = 0.0
        texts = []
        for column, (gap, above, width) in enumerate(line):
            texts.append(f"{row}.{column}")
            words.append(_word(x + gap, row * 2 * _HEIGHT + above, width, texts[-1], degrees))
            x += gap + width
        expected.add(" ".join(texts))
    random.shuffle(words)
    assert {line.text for line in joined_to_lines(words)} == expected


_ANY_WORD = st.builds(
    lambda x, y, width, text, degrees, ignore: TextBox(
        _word(x, y, width, text, degrees).points, None if ignore else text, ignore
    ),
    st.floats(0, 100),
    st.floats(0, 60),
    st.floats(1, 40),
    st.sampled_from(["a", "b", "c", None]),
    st.sampled_from([0, 3, -10, 40, 90]),
    st.booleans(),
)


@given(st.lists(_ANY_WORD, max_size=12))
def test_no_word_is_lost_or_cut(boxes: list[TextBox]) -> None:
    lines = joined_to_lines(boxes)
    words = [box for box in boxes if not box.ignore]
    shapes = [shapely.Polygon(line.points).buffer(1e-6) for line in lines if not line.ignore]
    assert all(shape.is_valid for shape in shapes)
    for word in words:
        assert any(shape.covers(shapely.Polygon(word.points)) for shape in shapes)
    texts = [text for line in lines if line.text for text in line.text.split()]
    if all(word.text for word in words):
        assert sorted(texts) == sorted(str(word.text) for word in words)
    assert [line for line in lines if line.ignore] == [box for box in boxes if box.ignore]


def test_columns_stay_apart_and_a_tall_word_belongs_to_one_line() -> None:
    item, price = _word(0, 0, 30, "TEA"), _word(60, 0, 20, "2.50")
    assert joined_to_lines([item, price]) == [item, price]
    tall = TextBox(np.array([[0.0, 0], [20, 0], [20, 22], [0, 22]]), "3x")
    upper, lower = _word(24, 0, 30, "up"), _word(26, 12, 30, "low")
    assert [line.text for line in joined_to_lines([tall, upper, lower])] == ["3x up", "low"]


def test_a_line_is_a_rectangle_and_has_no_text_where_a_word_has_none() -> None:
    (line,) = joined_to_lines([_word(0, 0, 20, "a"), _word(25, 1, 20, None)])
    assert line.text is None
    np.testing.assert_allclose(line.points, [[0, 0], [45, 0], [45, 11], [0, 11]])
