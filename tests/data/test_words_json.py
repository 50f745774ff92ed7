"""Words JSON: what an entry means, and that what is written is read back."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.data.formats.words_json import (
    format_words_json,
    parse_words,
    write_words_json,
)
from detector.data.page import TextBox
from detector.errors import DataError

_QUAD = [[1, 2], [30, 2], [30, 9.5], [1, 9]]


def _tree(**words: object) -> object:
    return {"images": {"a.jpg": {"words": words, "img_w": 720, "img_h": 1280}}}


def _only_box(word: object) -> TextBox:
    annotation = parse_words(_tree(w1=word))["a.jpg"]
    assert annotation.faults == []
    (box,) = annotation.boxes
    return box


def test_word_has_points_and_transcription() -> None:
    box = _only_box(
        {
            "transcription": "TOTAL",
            "points": _QUAD,
            "orientation": "Horizontal",
            "language": ["en"],
            "illegibility": False,
        }
    )
    assert box.points.tolist() == _QUAD
    assert (box.text, box.ignore) == ("TOTAL", False)


def test_image_declares_its_size_and_words_their_place() -> None:
    annotation = parse_words(_tree(w1={"points": _QUAD}, w2={"points": _QUAD}))["a.jpg"]
    assert annotation.declared_size == (720, 1280)
    assert annotation.places == ["a.jpg w1", "a.jpg w2"]


def test_longer_polygon_keeps_its_points() -> None:
    points = [*_QUAD, [0, 5], [0, 4]]
    assert _only_box({"points": points, "transcription": "arc"}).points.tolist() == points


@pytest.mark.parametrize("word", [{}, {"transcription": None}])
def test_word_without_transcription_has_no_text(word: dict[str, object]) -> None:
    box = _only_box({"points": _QUAD, **word})
    assert (box.text, box.ignore) == (None, False)


def test_illegible_word_is_ignored_and_keeps_its_text() -> None:
    box = _only_box({"points": _QUAD, "transcription": "TO?AL", "illegibility": True})
    assert (box.text, box.ignore) == ("TO?AL", True)


def test_three_hashes_are_dont_care() -> None:
    box = _only_box({"points": _QUAD, "transcription": "###"})
    assert (box.text, box.ignore) == (None, True)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ({"transcription": "TOTAL"}, "has no list of points"),
        ("TOTAL", "has no list of points"),
        ({"points": [[1, 2], [3, 4]]}, "2 points where an outline has at least 3"),
        ({"points": [[1, 2], [3, 4], [5]]}, "[5] is not a point [x, y]"),
        ({"points": [[1, 2], [3, 4], [5, "6"]]}, "[5, '6'] is not a point [x, y]"),
        ({"points": [[1, 2], [3, 4], [5, float("nan")]]}, "not finite"),
        ({"points": [[1, 2], [3, 4], [5, 10**400]]}, "beyond any image"),
        ({"points": _QUAD, "transcription": 42}, "the transcription 42 is not a text"),
    ],
)
def test_word_that_is_no_box_is_a_fault_with_its_id(word: object, reason: str) -> None:
    annotation = parse_words(_tree(good={"points": _QUAD}, bad=word))["a.jpg"]
    assert len(annotation.boxes) == 1
    ((place, found),) = annotation.faults
    assert place == "a.jpg bad"
    assert reason in found


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ([], 'the file has no object "images"'),
        ({"images": {"a.jpg": {}}}, 'a.jpg has no object "words"'),
        ({"images": {"a.jpg": {"words": []}}}, 'a.jpg has no object "words"'),
    ],
)
def test_file_of_another_shape_is_an_error(tree: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_words(tree)


def test_box_whose_text_would_be_read_as_dont_care_is_refused(tmp_path: Path) -> None:
    box = TextBox(np.array(_QUAD, dtype=np.float64), "###")
    with pytest.raises(DataError, match="ignore the box"):
        write_words_json(tmp_path / "words.json", {"a.jpg": ((9, 9), [box])})


_POINTS = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
_TEXTS = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: t.strip() != "###")
_BOXES = st.builds(
    lambda points, text, ignore: TextBox(np.array(points, dtype=np.float64), text, ignore),
    st.lists(_POINTS, min_size=3, max_size=9),
    st.none() | _TEXTS,
    st.booleans(),
)
_SIZES = st.tuples(st.integers(1, 9999), st.integers(1, 9999))


@given(st.dictionaries(_TEXTS, st.tuples(_SIZES, st.lists(_BOXES, max_size=4)), max_size=4))
def test_annotations_are_read_back_as_written(
    images: dict[str, tuple[tuple[int, int], list[TextBox]]],
) -> None:
    found = parse_words(json.loads(format_words_json(images)))
    assert found.keys() == images.keys()
    for name, (size, boxes) in images.items():
        assert found[name].declared_size == size
        assert found[name].faults == []
        assert [(b.points.tolist(), b.text, b.ignore) for b in found[name].boxes] == [
            (b.points.tolist(), b.text, b.ignore) for b in boxes
        ]
