"""Data sets of forms and receipts that describe each image in JSON: FUNSD, CORD and WildReceipt.
Their words are taken, one box each; fields and links between them are not used."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from detector.data.formats.annotation import (
    Annotation,
    BadEntryError,
    numbers,
    outline,
    rectangle,
    text_box,
)
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox

_CORNERS = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")


def _claims_funsd(file: LabelFile) -> bool:
    return file.has(form=list)


def _read_funsd(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        annotation = Annotation()
        for field in file.tree["form"]:
            for word in _words_of(field):
                # FUNSD has words without text and without extent, where a line was left empty.
                if str(word.get("text", "")).strip():
                    annotation.add(f"field {field.get('id')}", partial(_parse_funsd, word))
        yield Entry("", annotation, file)


def _parse_funsd(word: Mapping[str, Any]) -> TextBox:
    return text_box(rectangle(*numbers(word.get("box"), 4)), word.get("text"))


def _claims_cord(file: LabelFile) -> bool:
    return file.has(valid_line=list)


def _read_cord(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        annotation = Annotation()
        for number, line in enumerate(file.tree["valid_line"], start=1):
            for word in _words_of(line):
                annotation.add(f"line {number}", partial(_parse_cord, word))
        for number, region in enumerate(_nested(file.tree.get("dontcare")), start=1):
            annotation.add(f"dontcare {number}", partial(_parse_cord, {"quad": region}, True))
        yield Entry("", annotation, file)


def _parse_cord(word: Mapping[str, Any], ignore: bool = False) -> TextBox:
    quad = word.get("quad")
    if not isinstance(quad, Mapping):
        raise BadEntryError("has no quad")
    points = outline(numbers([quad.get(corner) for corner in _CORNERS]))
    return text_box(points, word.get("text"), ignore)


def _nested(regions: Any) -> list[Any]:
    """Quads, which CORD has in lists of lists."""
    if isinstance(regions, list):
        return [quad for region in regions for quad in _nested(region)]
    return [] if regions is None else [regions]


def _words_of(part: Any) -> list[Mapping[str, Any]]:
    words = part.get("words") if isinstance(part, Mapping) else None
    return [word for word in words if isinstance(word, Mapping)] if isinstance(words, list) else []


def _claims_wildreceipt(file: LabelFile) -> bool:
    if file.is_json or not file.lines:
        return False
    first = _json_or_none(file.lines[0][1])
    return isinstance(first, dict) and {"file_name", "annotations"} <= first.keys()


def _read_wildreceipt(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        for number, line in file.lines:
            image = _json_or_none(line)
            annotation = Annotation()
            if not isinstance(image, dict):
                annotation.faults.append((number, "not JSON"))
                image = {}
            for box in image.get("annotations") or ():
                annotation.add(number, partial(_parse_wildreceipt, box))
            yield Entry(str(image.get("file_name", "")), annotation, file)


def _parse_wildreceipt(box: Any) -> TextBox:
    if not isinstance(box, Mapping):
        raise BadEntryError("is no box")
    return text_box(outline(numbers(box.get("box"), 8)), box.get("text"))


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


FUNSD = Format("funsd", "FUNSD", _claims_funsd, _read_funsd)
CORD = Format("cord", "CORD", _claims_cord, _read_cord)
WILD_RECEIPT = Format("wildreceipt", "WildReceipt", _claims_wildreceipt, _read_wildreceipt)
