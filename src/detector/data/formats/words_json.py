"""Words JSON: the annotations of many images in one file.

    {"images": {"a.jpg": {"img_w": 720, "img_h": 1280, "words": {"0001": {
        "points": [[x, y], ...], "transcription": "TOTAL", "illegibility": false}}}}}

Outlines have three points or more. `illegibility` or the transcription `###` means don't care; a
word without transcription has no text. Other keys (language, orientation, tags) are not used.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from detector.names import is_utf8, readable
from detector.storage.atomic import write_atomically


def read_words_json(path: Path) -> dict[str, Annotation]:
    """The annotation of each image by name; words that are no boxes are among its faults.

    Raises:
        DataError: the file cannot be read, is not JSON, or has not the shape shown above.
    """
    try:
        return parse_words_json(read_bytes(path).decode("utf-8-sig"))
    except ValueError as error:
        raise DataError(
            f"not a words JSON: {error}",
            where=str(path),
            remedy='write it as {"images": {NAME: {"words": {ID: {"points": [[x, y], ...]}}}}}',
        ) from error


def parse_words_json(content: str) -> dict[str, Annotation]:
    """The annotation of each image by name.

    Raises:
        ValueError: the text is not JSON, an object names a key twice, or images or words are not
            where they belong.
    """
    tree = json.loads(content, object_pairs_hook=_refuse_duplicates)
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
        place = f"{name} {word_id}"
        try:
            annotation.boxes.append(_parse_word(word))
            annotation.places.append(place)
        except BadEntryError as fault:
            annotation.faults.append((place, str(fault)))
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
    return TextBox(points, text, ignore=bool(word.get("illegibility", False)))


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


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return tree
