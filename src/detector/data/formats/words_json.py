"""Words JSON: the annotations of many images in one file.

    {"images": {"a.jpg": {"img_w": 720, "img_h": 1280, "words": {"0001": {
        "points": [[x, y], ...], "transcription": "TOTAL", "illegibility": false}}}}}

Outlines have three points or more. `illegibility` or the transcription `###` means don't care; a
word without transcription has no text. Other keys (language, orientation, tags) are not used.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from detector.data.formats.annotation import (
    DONT_CARE,
    Annotation,
    BadEntryError,
    outline,
    refuse_reserved_text,
    truth,
)
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox
from detector.errors import DataError
from detector.names import is_utf8, readable
from detector.storage.atomic import write_atomically


def _claims(file: LabelFile) -> bool:
    return file.has(images=dict)


def _read(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        try:
            found = parse_words(file.tree)
        except ValueError as error:
            raise DataError(
                f"not a words JSON: {error}",
                where=file.name,
                remedy='write it as {"images": {NAME: {"words": {ID: {"points": [[x, y], ...]}}}}}',
            ) from error
        yield from (Entry(name, annotation, file) for name, annotation in found.items())


WORDS_JSON = Format("words", "words JSON", _claims, _read)


def parse_words(tree: object) -> dict[str, Annotation]:
    """The annotation of each image by name; words that are no boxes are among its faults.

    Args:
        tree: what the JSON says.

    Raises:
        ValueError: images or words are not where they belong.
    """
    images = _mapping(tree, "images", "the file")
    return {name: _parse_image(name, entry) for name, entry in images.items()}


def write_words_json(
    path: Path, images: Mapping[str, tuple[tuple[int, int], Sequence[TextBox]]]
) -> None:
    """Write a file that `read_words_json` reads back.

    Args:
        path: the file.
        images: by image name, the width and height in pixels, and the boxes.

    Raises:
        DataError: a box that is not ignored has the text `###`.
    """
    try:
        content = format_words_json(images)
    except ValueError as error:
        raise DataError(
            f"words JSON cannot hold this annotation: {error}",
            where=str(path),
            remedy="change the text, or ignore the box",
        ) from error
    write_atomically(path, content.encode())


def format_words_json(images: Mapping[str, tuple[tuple[int, int], Sequence[TextBox]]]) -> str:
    """The text of a words JSON (see `write_words_json`).

    Raises:
        ValueError: a box that is not ignored has the text `###`.
    """
    tree = {
        name: {
            "words": {f"{i:04d}": _format_word(box) for i, box in enumerate(boxes, start=1)},
            "img_w": width,
            "img_h": height,
        }
        for name, ((width, height), boxes) in images.items()
    }
    return json.dumps({"images": tree}, ensure_ascii=False, indent=1) + "\n"


def _parse_image(name: str, entry: object) -> Annotation:
    words = _mapping(entry, "words", name)
    annotation = Annotation(declared_size=_declared_size(entry))
    for word_id, word in words.items():
        annotation.add(f"{name} {word_id}", partial(_parse_word, word))
    return annotation


def _parse_word(word: object) -> TextBox:
    if not isinstance(word, dict) or not isinstance(word.get("points"), list):
        raise BadEntryError("has no list of points")
    for point in word["points"]:
        if not (isinstance(point, list) and len(point) == 2 and all(map(_is_number, point))):
            raise BadEntryError(f"{point!r} is not a point [x, y]")
    points = outline([value for point in word["points"] for value in point])
    text = word.get("transcription")
    if text is not None and not isinstance(text, str):
        raise BadEntryError(f"the transcription {text!r} is not a text")
    if text is not None and not is_utf8(text):
        raise BadEntryError(f"the transcription {readable(text)} is no valid Unicode")
    if text is not None and text.strip() == DONT_CARE:
        return TextBox(points, ignore=True)
    return TextBox(points, text, ignore=truth(word.get("illegibility"), "illegibility"))


def _format_word(box: TextBox) -> dict[str, Any]:
    refuse_reserved_text(box)
    return {
        "points": box.points.tolist(),
        "transcription": box.text,
        "illegibility": box.ignore,
    }


def _declared_size(entry: Any) -> tuple[int, int] | None:
    size = (entry.get("img_w"), entry.get("img_h"))
    return size if all(isinstance(side, int) for side in size) else None


def _mapping(tree: object, key: str, where: str) -> dict[str, Any]:
    value = tree.get(key) if isinstance(tree, dict) else None
    if not isinstance(value, dict):
        raise ValueError(f'{where} has no object "{key}"')
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
