"""PPOCRLabel's Label.txt, which PaddleOCR trains detectors from: a line for each image.

    images/a.jpg<TAB>[{"transcription": "TOTAL", "points": [[x, y], ...], "difficult": false}]

Difficult text, and the transcriptions `###` and `*`, are don't care, as PaddleOCR has them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from detector.data.formats.annotation import (
    DONT_CARE,
    MALFORMED,
    Annotation,
    BadEntryError,
    numbers,
    outline,
    text_box,
    truth,
)
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox
from detector.errors import DataError

_LOOKED_AT = 20
"""Lines: the first may be damaged."""
_DONT_CARE = "*"
_NOT_YET_READ = frozenset({"待识别", "TEMPORARY"})
"""What PPOCRLabel writes for text that nobody has transcribed."""


def _claims(file: LabelFile) -> bool:
    if file.is_json:
        return False
    parts = [line.partition("\t") for _, line in file.lines[:_LOOKED_AT]]
    return any(labels.lstrip().startswith("[") and _is_of_boxes(labels) for _, _, labels in parts)


def _is_of_boxes(text: str) -> bool:
    try:
        tree = json.loads(text)
    except ValueError:
        return False
    return isinstance(tree, list) and all(isinstance(e, dict) and "points" in e for e in tree)


def _read(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        for number, line in file.lines:
            image, _, labels = line.partition("\t")
            annotation = Annotation()
            try:
                boxes = list(json.loads(labels))
            except MALFORMED as error:
                annotation.faults.append((number, f"not JSON behind the name: {error}"))
                boxes = []
            for box in boxes:
                annotation.add(number, partial(_parse, box))
            yield Entry(image, annotation, file)


def _parse(box: Any) -> TextBox:
    if not isinstance(box, Mapping) or "points" not in box:
        raise BadEntryError("has no points")
    text = box.get("transcription")
    ignore = truth(box.get("difficult"), "difficult") or text == _DONT_CARE
    return text_box(
        outline(numbers(box["points"])), None if text in _NOT_YET_READ else text, ignore
    )


def format_line(image: str, boxes: Sequence[TextBox]) -> str:
    """The line of an image, which `_read` reads back (the text of ignored boxes apart).

    Raises:
        DataError: a text would be read back as another thing.
    """
    reserved = {_DONT_CARE, DONT_CARE, *_NOT_YET_READ}
    for box in boxes:
        if not box.ignore and box.text in reserved:
            raise DataError(
                f"PPOCRLabel has another meaning for the text {box.text!r}",
                where=image,
                remedy="write words JSON instead (`--to words`), or change the text",
            )
    entries = [
        {
            "transcription": "###" if box.ignore else box.text or "",
            "points": box.points.tolist(),
            "difficult": box.ignore,
        }
        for box in boxes
    ]
    return f"{image}\t{json.dumps(entries, ensure_ascii=False)}\n"


PPOCR_LABEL = Format("ppocr_label", "PPOCRLabel", _claims, _read)
