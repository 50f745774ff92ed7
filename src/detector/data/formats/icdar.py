"""ICDAR text annotations: one box a line, `x1,y1,x2,y2,x3,y3,x4,y4,text`, beside each image.

- Everything after the eighth comma is the text, so it may hold commas and begin with a number; a
  line of eight numbers alone has no text. `###` is don't care.
- Outlines with other than four points cannot be distinguished from a text that is a number. A file
  that holds any has `# polygons` as its first line: then the numbers a line begins with are its
  outline (an even count, at least six) and the rest is its text.
- UTF-8, with or without a byte order mark; LF or CRLF; empty lines count for nothing.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from detector.data.formats.annotation import (
    DONT_CARE,
    Annotation,
    BadEntryError,
    outline,
    refuse_reserved_text,
)
from detector.data.images import read_bytes
from detector.data.page import TextBox
from detector.errors import DataError
from detector.storage.atomic import write_atomically

POLYGONS_HEADER = "# polygons"
"""First line of a file whose outlines have any number of points."""

_QUAD_NUMBERS = 8


def read_icdar(path: Path) -> Annotation:
    """The boxes of one annotation file; lines that are no boxes are among its faults.

    Raises:
        DataError: the file cannot be read or is not UTF-8.
    """
    try:
        return parse_icdar(read_bytes(path).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}",
            where=str(path),
            remedy="save the file as UTF-8",
        ) from error


def parse_icdar(content: str) -> Annotation:
    r"""The boxes that the text of an annotation file describes.

    >>> parse_icdar("0,0,9,0,9,5,0,5,1,250.00\n0,0,9,0,9,5,0,5").boxes[0].text
    '1,250.00'
    """
    annotation = Annotation()
    # Not splitlines(): a text may hold any of Unicode's rarer line ends.
    lines = [line.removesuffix("\r") for line in content.split("\n")]
    has_polygons = lines[0].strip() == POLYGONS_HEADER
    for number, line in enumerate(lines, start=1):
        if line.strip() and not (has_polygons and number == 1):
            annotation.add(number, partial(parse_line, line, has_polygons))
    return annotation


def write_icdar(path: Path, boxes: Sequence[TextBox]) -> None:
    """Write an annotation file that `read_icdar` reads back (the text of ignored boxes apart).

    Raises:
        DataError: a text cannot be distinguished from the file's own marks.
    """
    try:
        content = format_icdar(boxes)
    except ValueError as error:
        raise DataError(
            f"ICDAR text cannot hold this annotation: {error}",
            where=str(path),
            remedy="write words JSON instead, or change the text",
        ) from error
    write_atomically(path, content.encode())


def format_icdar(boxes: Sequence[TextBox]) -> str:
    """The text of an annotation file.

    Raises:
        ValueError: a text cannot be distinguished from the file's own marks.
    """
    has_polygons = any(len(box.points) != _QUAD_NUMBERS // 2 for box in boxes)
    header = [POLYGONS_HEADER] if has_polygons else []
    return "".join(
        f"{line}\n" for line in header + [_format_line(box, has_polygons) for box in boxes]
    )


def parse_line(line: str, has_polygons: bool) -> TextBox:
    """The box of a line.

    Args:
        line: of an annotation file.
        has_polygons: whether all the numbers that it begins with are its outline.

    Raises:
        BadEntryError: it has none.
    """
    fields = line.split(",")
    if has_polygons:
        run = leading_numbers(fields)
        count = run - run % 2
        if count < 6:
            raise BadEntryError(f"begins with {run} numbers where a polygon has at least 6")
    else:
        count = _QUAD_NUMBERS
        _refuse_short_line(fields)
    points = outline([float(field) for field in fields[:count]])
    text = ",".join(fields[count:]) if len(fields) > count else None
    if text is not None and text.strip() == DONT_CARE:
        return TextBox(points, ignore=True)
    return TextBox(points, text)


def _refuse_short_line(fields: Sequence[str]) -> None:
    run = leading_numbers(fields[:_QUAD_NUMBERS])
    if run == _QUAD_NUMBERS:
        return
    if run < len(fields):
        raise BadEntryError(
            f"field {run + 1} of the 8 coordinates is {fields[run]!r}, not a number"
        )
    raise BadEntryError(
        f"{run} numbers where a box has 8 (a file of polygons begins with {POLYGONS_HEADER!r})"
    )


def leading_numbers(fields: Sequence[str]) -> int:
    """With how many numbers fields begin."""
    return next((i for i, field in enumerate(fields) if not is_number(field)), len(fields))


def is_number(field: str) -> bool:
    """Whether a field is a finite number, as an annotation tool writes one."""
    try:
        # float() takes 1_000, which no annotation tool writes but a text may hold.
        return math.isfinite(float(field)) and "_" not in field
    except ValueError:
        return False


def _format_line(box: TextBox, has_polygons: bool) -> str:
    numbers = ",".join(_format_number(value) for value in box.points.ravel().tolist())
    if box.ignore:
        return f"{numbers},{DONT_CARE}"
    if box.text is None:
        return numbers
    refuse_reserved_text(box)
    if "\n" in box.text or box.text.endswith("\r"):
        raise ValueError(f"the text {box.text!r} holds a line end")
    if has_polygons and is_number(box.text.split(",")[0]):
        raise ValueError(f"the text {box.text!r} begins with a number, like a polygon's points")
    return f"{numbers},{box.text}"


def _format_number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
