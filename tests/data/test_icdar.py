"""ICDAR text: what a line means, and that what is written is read back."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.data.formats.icdar import format_icdar, parse_icdar, read_icdar, write_icdar
from detector.data.page import TextBox
from detector.errors import DataError

_QUAD = "76,50,323,50,323,84,76,84"
_QUAD_POINTS = [[76, 50], [323, 50], [323, 84], [76, 84]]


def _only_box(content: str) -> TextBox:
    annotation = parse_icdar(content)
    assert annotation.faults == []
    (box,) = annotation.boxes
    return box


def test_line_is_eight_numbers_and_a_text() -> None:
    box = _only_box(f"{_QUAD},TAN WOON YANN\n")
    assert box.points.tolist() == _QUAD_POINTS
    assert (box.text, box.ignore) == ("TAN WOON YANN", False)


@pytest.mark.parametrize(
    "text",
    ["27,JALAN DEDAP 13,", "1,250.00", "42", "12,34,56,78", "", " padded ", '"quoted"', "*", "nan"],
)
def test_everything_after_the_eighth_number_is_text(text: str) -> None:
    box = _only_box(f"{_QUAD},{text}")
    assert box.points.tolist() == _QUAD_POINTS
    assert (box.text, box.ignore) == (text, False)


def test_line_of_numbers_alone_has_no_text() -> None:
    assert _only_box(_QUAD).text is None


@pytest.mark.parametrize("mark", ["###", " ### "])
def test_three_hashes_are_dont_care(mark: str) -> None:
    box = _only_box(f"{_QUAD},{mark}")
    assert (box.text, box.ignore) == (None, True)


def test_byte_order_mark_crlf_and_empty_lines_count_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gt_1.txt"
    path.write_bytes(f"\ufeff{_QUAD},a\r\n\r\n  \r\n{_QUAD},b\r\n".encode())
    annotation = read_icdar(path)
    assert [box.text for box in annotation.boxes] == ["a", "b"]
    assert annotation.places == [1, 4]


def test_coordinates_may_be_fractions_negative_and_spaced() -> None:
    box = _only_box("0.5, -1, 3e1,0, 30,9.25, 0,9,x")
    assert box.points.tolist() == [[0.5, -1], [30, 0], [30, 9.25], [0, 9]]


def test_rarer_unicode_line_ends_stay_in_the_text() -> None:
    assert _only_box(f"{_QUAD},a\u2028b\x0bc\x85d").text == "a\u2028b\x0bc\x85d"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2,3,4,5,6,7,TOTAL", "field 8 of the 8 coordinates is 'TOTAL', not a number"),
        ("nan,2,3,4,5,6,7,8,TOTAL", "field 1 of the 8 coordinates is 'nan', not a number"),
        ("1,2,3,inf,5,6,7,8", "field 4 of the 8 coordinates is 'inf', not a number"),
        ("1,2,3,1_000,5,6,7,8", "field 4 of the 8 coordinates is '1_000', not a number"),
        ("1,2,3,4,5,6", "6 numbers where a box has 8"),
        ("1,2,3,4,5,6,7,1e300", "beyond any image"),
        ("TOTAL", "field 1 of the 8 coordinates is 'TOTAL', not a number"),
    ],
)
def test_line_that_is_no_box_is_a_fault_with_its_number(line: str, reason: str) -> None:
    annotation = parse_icdar(f"{_QUAD},good\n{line}\n{_QUAD},good")
    assert [box.text for box in annotation.boxes] == ["good", "good"]
    ((place, found),) = annotation.faults
    assert place == 2
    assert reason in found


def test_polygons_file_takes_all_leading_numbers_as_points() -> None:
    annotation = parse_icdar(
        "# polygons\n0,0,9,0,9,5,4,7,0,5,SALE, 50%\n0,0,9,0,9,5\n0,0,9,0,9,5,7"
    )
    assert annotation.faults == []
    assert [len(box.points) for box in annotation.boxes] == [5, 3, 3]
    assert [box.text for box in annotation.boxes] == ["SALE, 50%", None, "7"]
    assert annotation.places == [2, 3, 4]


def test_polygon_of_two_points_is_a_fault() -> None:
    annotation = parse_icdar("# polygons\n0,0,9,0,LINE")
    assert annotation.faults == [(2, "begins with 4 numbers where a polygon has at least 6")]


def test_file_that_is_not_utf_8_is_an_error_that_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(f"{_QUAD},caf".encode() + b"\xe9\n")
    with pytest.raises(DataError, match=r"a\.txt: not UTF-8: byte 0xe9 at offset 29"):
        read_icdar(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("corners", "text"), [(4, "two\nlines"), (4, "###"), (4, "ends\r"), (5, "7,up"), (3, "3.5")]
)
def test_text_that_would_be_misread_is_refused(corners: int, text: str, tmp_path: Path) -> None:
    box = TextBox(np.arange(corners * 2, dtype=np.float64).reshape(-1, 2), text)
    with pytest.raises(DataError, match="write words JSON instead"):
        write_icdar(tmp_path / "a.txt", [box])
    assert not (tmp_path / "a.txt").exists()


_COORDINATES = st.floats(-1e6, 1e6) | st.integers(-10_000, 10_000).map(float)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"))


def _boxes(corners: st.SearchStrategy[int]) -> st.SearchStrategy[list[TextBox]]:
    points = corners.flatmap(
        lambda n: st.lists(st.tuples(_COORDINATES, _COORDINATES), min_size=n, max_size=n)
    )
    texts = st.none() | _TEXTS.filter(lambda text: text.strip() != "###")
    box = st.builds(
        lambda outline, text, ignore: TextBox(
            np.array(outline, dtype=np.float64), None if ignore else text, ignore
        ),
        points,
        texts,
        st.booleans(),
    )
    return st.lists(box, max_size=5)


def _same(left: list[TextBox], right: list[TextBox]) -> bool:
    return [(b.points.tolist(), b.text, b.ignore) for b in left] == [
        (b.points.tolist(), b.text, b.ignore) for b in right
    ]


@given(_boxes(st.just(4)))
def test_quads_are_read_back_as_written(boxes: list[TextBox]) -> None:
    annotation = parse_icdar(format_icdar(boxes))
    assert annotation.faults == []
    assert _same(annotation.boxes, boxes)


def _begins_with_a_letter(boxes: list[TextBox]) -> bool:
    return all(box.text is None or box.text[:1].isalpha() for box in boxes)


@given(_boxes(st.integers(3, 9)))
def test_polygons_are_read_back_as_written_or_refused(boxes: list[TextBox]) -> None:
    try:
        content = format_icdar(boxes)
    except ValueError:
        assert not _begins_with_a_letter(boxes)
        return
    annotation = parse_icdar(content)
    assert annotation.faults == []
    assert _same(annotation.boxes, boxes)


@given(st.text())
def test_any_text_gives_boxes_or_faults_for_each_line(content: str) -> None:
    annotation = parse_icdar(content)
    assert len(annotation.boxes) == len(annotation.places)
    assert all(np.isfinite(box.points).all() for box in annotation.boxes)
