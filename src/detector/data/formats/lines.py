"""Text files with a box on each line, as ICDAR's competitions and others write them.

What a line means cannot be seen on one line: `…,1,250` may be an amount or a fifth point, `Latin,…`
a script or a text. So all lines of all files are looked at, and what fits them is taken.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import shapely

from detector.data.formats.annotation import (
    Annotation,
    BadEntryError,
    in_turn,
    numbers,
    outline,
    rectangle,
    rotated,
    text_box,
)
from detector.data.formats.icdar import (
    POLYGONS_HEADER,
    is_number,
    leading_numbers,
    parse_icdar,
    parse_line,
)
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry
from detector.data.page import TextBox
from detector.errors import DataError

SUFFIXES = frozenset({".txt", ".gt"})
"""Lower-case file name endings of such files."""
SCRIPTS = frozenset(
    {
        *("arabic", "bangla", "bengali", "chinese", "cyrillic", "devanagari", "english", "greek"),
        *("hebrew", "hindi", "japanese", "korean", "latin", "mixed", "none", "symbols", "tamil"),
        *("telugu", "thai", "vietnamese"),
    }
)
"""What stands before the text in the files of ICDAR MLT, in lower case."""

_QUAD = 8
_NEAR = 3.0
"""How many times the length of an outline's first part the rest of it may be away."""
_MOST = 0.5
"""The share of all lines that a dialect has to fit; the others are single mistakes."""
_AMOUNT = re.compile(r"[-+]?\d{1,3}(?:,\d{3})*(?:\.\d+)?|[-+]?\d{1,3}(?:\.\d{3})*,\d{1,2}")
"""A text of numbers with commas: 1,250.00 or 1.250,00."""
_TOTAL_TEXT = re.compile(
    r"x:\s*\[\[(?P<x>[^\]]*)\]\],\s*y:\s*\[\[(?P<y>[^\]]*)\]\],\s*ornt:\s*\[[^\]]*\],"
    r"\s*transcriptions:\s*\[u?(?P<quote>['\"])(?P<text>.*)(?P=quote)\]\s*$"
)
_BOX_AND_OFFSETS = 32
_CTW1500_MARK = "####"
_BLANKS = re.compile(r"\s+")
_QUOTED = re.compile(r'\s*"(.*)"\s*$')


@dataclass(frozen=True)
class Dialect:
    """What the lines of some files mean.

    Attributes:
        key: its name in `data.format`.
        title: what to call it in messages.
        fits: whether a line can be of it.
        parse: the box of a line; a BadEntryError says why it has none.
        is_relative: whether coordinates are shares of the image's width and height.
    """

    key: str
    title: str
    fits: Callable[[str], bool]
    parse: Callable[[str], TextBox]
    is_relative: bool = False

    def read(self, files: Sequence[LabelFile]) -> Iterable[Entry]:
        """The labels of each file: those of the image that it is named after."""
        for file in files:
            if _has_header(file):
                yield Entry("", parse_icdar(file.text), file)
                continue
            annotation = Annotation(is_relative=self.is_relative)
            for number, line in file.lines:
                annotation.add(number, partial(self.parse, line))
            yield Entry("", annotation, file)


def looks_like_lines(file: LabelFile) -> bool:
    """Whether most lines of a file begin as a line with a box does; so do those of none."""
    if file.path.suffix.lower() not in SUFFIXES:
        return False
    lines = [line for _, line in file.lines]
    if file.image is None:
        # A note that begins with a number is no label file that has lost its image.
        return bool(lines) and sum(map(_is_of_any, lines)) > _MOST * len(lines)
    return sum(map(_begins_like_a_box, lines)) >= _MOST * len(lines)


def dialect_of(files: Sequence[LabelFile]) -> Dialect:
    """The dialect of all files together.

    Raises:
        DataError: more than one fits.
    """
    lines = [line for file in files if not _has_header(file) for _, line in file.lines]
    for dialect in _UNMISTAKABLE:
        if lines and sum(map(dialect.fits, lines)) > _MOST * len(lines):
            return dialect
    quads = [line for line in lines if ICDAR.fits(line)]
    if size := _size_of_all(quads):
        return _polygons_of(size)
    _require_no_polygons(quads, files[0])
    scripts = sum(map(_has_script, quads))
    if scripts and scripts < len(quads):
        raise DataError(
            f"{scripts} of {len(quads)} lines name a script before their text, as ICDAR MLT's do, "
            "and the others do not",
            where=files[0].name,
            remedy="say `--format icdar_mlt` or `--format icdar` (data.format)",
        )
    return _as_all_are_written(ICDAR_MLT if scripts else ICDAR, quads)


def _has_header(file: LabelFile) -> bool:
    return file.text.startswith(POLYGONS_HEADER)


def _begins_like_a_box(line: str) -> bool:
    first = re.split(r"[,\s]", line.strip(), maxsplit=1)[0]
    return is_number(first) or bool(_TOTAL_TEXT.match(line.strip())) or line == POLYGONS_HEADER


def _is_of_any(line: str) -> bool:
    return line == POLYGONS_HEADER or any(dialect.fits(line) for dialect in DIALECTS)


def _size_of_all(quads: Sequence[str]) -> int | None:
    """How many numbers each line's outline has, where all have as many and more than a quad."""
    if not quads:
        return None
    size = min(_even_numbers(line) for line in quads)
    fitting = sum(_is_polygon(line, size) for line in quads)
    return size if fitting > _MOST * len(quads) else None


def _require_no_polygons(quads: Sequence[str], example: LabelFile) -> None:
    longer = [line for line in quads if _is_polygon(line, _even_numbers(line))]
    if longer:
        raise DataError(
            f"{len(longer)} of {len(quads)} lines begin with more than 8 numbers, as polygons do, "
            f"and the others with 8: {longer[0][:70]!r}",
            where=example.name,
            remedy="say `--format polygons` (data.format=polygons) if all numbers before the text "
            "are its outline, or `--format icdar` if its text begins after the eighth",
        )


def _even_numbers(line: str) -> int:
    count = leading_numbers(line.split(","))
    return count - count % 2


def _is_polygon(line: str, count: int) -> bool:
    """Whether so many numbers of a line, more than eight, are its outline, and none of its text."""
    fields = line.split(",")
    if count <= _QUAD or _AMOUNT.fullmatch(",".join(fields[_QUAD:count]).strip()):
        return False
    points = np.array([float(field) for field in fields[:count]]).reshape(-1, 2)
    first, rest = points[: _QUAD // 2], points[_QUAD // 2 :]
    reach = _NEAR * float(np.ptp(first, axis=0).max())
    is_near = np.abs(rest - first.mean(axis=0)).max() <= reach
    return bool(is_near and shapely.is_valid(shapely.Polygon(points)))


def _has_script(line: str) -> bool:
    fields = line.split(",")
    return len(fields) > _QUAD + 1 and fields[_QUAD].strip().lower() in SCRIPTS


def _as_all_are_written(dialect: Dialect, lines: Sequence[str]) -> Dialect:
    """With blanks and quotes that stand around every text taken off."""
    texts = [text for line in lines if (text := line.split(",", _QUAD)[_QUAD:])]
    written = [text[0] for text in texts if text[0].strip() not in {"", "###"}]
    if written and all(_QUOTED.match(text) for text in written):
        return replace(dialect, parse=lambda line: _unquoted(dialect.parse(line)))
    if written and all(text.startswith(" ") for text in written):
        return replace(dialect, parse=lambda line: _stripped(dialect.parse(line)))
    return dialect


def _unquoted(box: TextBox) -> TextBox:
    found = _QUOTED.match(box.text or "")
    if not found:
        return box
    return text_box(box.points, found[1].replace('\\"', '"').replace('""', '"'), box.ignore)


def _stripped(box: TextBox) -> TextBox:
    return replace(box, text=box.text.strip()) if box.text else box


def _parse_mlt(line: str) -> TextBox:
    fields = line.split(",")
    if _has_script(line):
        del fields[_QUAD]
    return parse_line(",".join(fields), has_polygons=False)


def _polygons_of(size: int) -> Dialect:
    def parse(line: str) -> TextBox:
        fields = line.split(",")
        text = ",".join(fields[size:]) if len(fields) > size else None
        return text_box(outline(numbers(list(fields[:size]), size)), text)

    return Dialect("polygons", f"polygons of {size // 2} points, text", ICDAR.fits, parse)


def _parse_total_text(line: str) -> TextBox:
    found = _TOTAL_TEXT.match(line.strip())
    if not found:
        raise BadEntryError("not written as the other lines: x: [[…]], y: [[…]], ornt: …")
    # `#` is what Total-Text writes for text that cannot be read.
    return text_box(
        outline(in_turn(found["x"].split(), found["y"].split())),
        found["text"],
        ignore=found["text"] == "#",
    )


def _parse_ctw1500(line: str) -> TextBox:
    points, _, text = line.partition(_CTW1500_MARK)
    values = [value for value in points.split(",") if value.strip()]
    return text_box(outline(numbers(values)), text)


def _parse_rctw(line: str) -> TextBox:
    fields = line.split(",", _QUAD + 1)
    quoted = _QUOTED.match(fields[_QUAD + 1])
    text = quoted[1] if quoted else fields[_QUAD + 1]
    points = outline(numbers(list(fields[:_QUAD]), _QUAD))
    return text_box(points, text, ignore=fields[_QUAD].strip() == "1")


def _fits_rctw(line: str) -> bool:
    fields = line.split(",", _QUAD + 1)
    is_long = len(fields) == _QUAD + 2 and leading_numbers(fields) > _QUAD
    return is_long and fields[_QUAD].strip() in {"0", "1"} and fields[_QUAD + 1].strip()[:1] == '"'


def _parse_offsets(line: str) -> TextBox:
    left, top, _, _, *offsets = numbers(list(line.split(",")), _BOX_AND_OFFSETS)
    points = np.array(offsets).reshape(-1, 2) + np.array([left, top])
    return TextBox(outline(points.ravel().tolist()))


def _fits_offsets(line: str) -> bool:
    fields = line.split(",")
    if len(fields) != _BOX_AND_OFFSETS or leading_numbers(fields) < _BOX_AND_OFFSETS:
        return False
    left, top, right, bottom, *offsets = map(float, fields)
    reach = np.array(offsets).reshape(-1, 2).max(axis=0)
    return bool(
        left < right and top < bottom and (reach <= [right - left + 1, bottom - top + 1]).all()
    )


def _parse_td500(line: str) -> TextBox:
    _, difficult, x, y, width, height, angle = numbers(_BLANKS.split(line.strip()), 7)
    return TextBox(
        rotated(x + width / 2, y + height / 2, width, height, angle), ignore=bool(difficult)
    )


def _parse_icdar_2013(line: str) -> TextBox:
    fields = re.split(r",\s*|\s+", line.strip(), maxsplit=4)
    text = fields[4] if len(fields) > 4 else None
    box = text_box(rectangle(*numbers(list(fields[:4]), 4)), text)
    return _unquoted(box)


def _parse_yolo(line: str) -> TextBox:
    _, x, y, width, height = numbers(_BLANKS.split(line.strip()), 5)
    half = (width / 2, height / 2)
    return TextBox(rectangle(x - half[0], y - half[1], x + half[0], y + half[1]))


def _parse_yolo_outline(line: str) -> TextBox:
    return TextBox(outline(numbers(_BLANKS.split(line.strip())[1:])))


def _blank_numbers(line: str) -> list[float]:
    words = _BLANKS.split(line.strip())
    return [float(word) for word in words] if all(map(is_number, words)) else []


def _fits_yolo(line: str, is_count: Callable[[int], bool]) -> bool:
    values = _blank_numbers(line)
    if not is_count(len(values)) or not values[0].is_integer():
        return False
    return all(-0.5 <= value <= 1.5 for value in values[1:])


def _fits_td500(line: str) -> bool:
    values = _blank_numbers(line)
    return len(values) == 7 and values[1] in {0, 1} and abs(values[6]) <= 4


def _fits_icdar_2013(line: str) -> bool:
    fields = re.split(r",\s*|\s+", line.strip(), maxsplit=4)
    # A quad with one damaged number is no rectangle with a text of numbers.
    is_damaged_quad = sum(map(is_number, line.split(",")[:_QUAD])) == _QUAD - 1
    if leading_numbers(fields) < 4 or is_damaged_quad:
        return False
    return len(fields) == 4 or not is_number(re.split(r"[,\s]", fields[4])[0])


ICDAR = Dialect(
    "icdar",
    "ICDAR 2015: 8 numbers, text",
    lambda line: leading_numbers(line.split(",")) >= _QUAD,
    partial(parse_line, has_polygons=False),
)
ICDAR_MLT = Dialect("icdar_mlt", "ICDAR MLT: 8 numbers, script, text", _has_script, _parse_mlt)
POLYGONS = Dialect(
    "polygons",
    "polygons: x and y of each point, text",
    lambda line: leading_numbers(line.split(",")) >= 6,
    partial(parse_line, has_polygons=True),
)
_UNMISTAKABLE = (
    Dialect(
        "total_text",
        "Total-Text: x: [[…]], y: [[…]], ornt, transcriptions",
        lambda line: bool(_TOTAL_TEXT.match(line.strip())),
        _parse_total_text,
    ),
    Dialect(
        "ctw1500",
        "CTW1500: x and y of each point, ####text",
        lambda line: f",{_CTW1500_MARK}" in line and leading_numbers(line.split(",")) >= _QUAD,
        _parse_ctw1500,
    ),
    Dialect(
        "ctw1500_offsets",
        "CTW1500: left, top, right, bottom, 14 offsets of x and y",
        _fits_offsets,
        _parse_offsets,
    ),
    Dialect("rctw", 'RCTW-17: 8 numbers, difficult, "text"', _fits_rctw, _parse_rctw),
    Dialect(
        "td500",
        "MSRA-TD500: index, difficult, x, y, width, height, angle",
        _fits_td500,
        _parse_td500,
    ),
    Dialect(
        "yolo",
        "YOLO: class, centre, width, height, from 0 to 1",
        partial(_fits_yolo, is_count=lambda count: count == 5),
        _parse_yolo,
        is_relative=True,
    ),
    Dialect(
        "yolo_obb",
        "YOLO: class, x and y of each point, from 0 to 1",
        partial(_fits_yolo, is_count=lambda count: count >= 7 and count % 2 == 1),
        _parse_yolo_outline,
        is_relative=True,
    ),
    Dialect(
        "icdar_2013",
        "ICDAR 2013: left, top, right, bottom, text",
        _fits_icdar_2013,
        _parse_icdar_2013,
    ),
)
DIALECTS = (ICDAR, ICDAR_MLT, POLYGONS, *_UNMISTAKABLE)
"""All that there are, by the names that `data.format` takes."""
