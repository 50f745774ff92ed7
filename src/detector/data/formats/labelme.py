"""labelme's JSON beside each image: `{"imagePath": "a.jpg", "shapes": [{"label", "points"}]}`.

A shape's text is its description where shapes have one, else its label. Where a data set has few
labels, and each often, they name classes (`labels.are_classes`), and no text is known.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import PureWindowsPath
from typing import Any

from detector.data.formats.annotation import (
    DONT_CARE,
    Annotation,
    BadEntryError,
    numbers,
    outline,
    rectangle,
    text_box,
    truth,
)
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format, are_classes
from detector.data.page import TextBox

_NO_TEXT = "text"
"""The class of shapes whose text is not known."""


def _claims(file: LabelFile) -> bool:
    return file.has(shapes=list)


def _read(files: Sequence[LabelFile]) -> Iterator[Entry]:
    shapes = [s for file in files for s in file.tree["shapes"] if isinstance(s, Mapping)]
    labels = [label for s in shapes if (label := str(s.get("label"))) != DONT_CARE]
    is_class = set(labels) == {_NO_TEXT} or are_classes(labels)
    has_descriptions = any(shape.get("description") for shape in shapes)
    key = "description" if has_descriptions else None if is_class else "label"
    for file in files:
        width, height = file.tree.get("imageWidth"), file.tree.get("imageHeight")
        annotation = Annotation(declared_size=(width, height) if width and height else None)
        for number, shape in enumerate(file.tree["shapes"], start=1):
            annotation.add(f"shape {number}", partial(_parse, shape, key))
        # Written on Windows, it has backslashes, which PureWindowsPath reads beside slashes.
        named = PureWindowsPath(str(file.tree.get("imagePath") or "")).name
        yield Entry(named if file.image is None else "", annotation, file)


def _parse(shape: Any, text_key: str | None) -> TextBox:
    if not isinstance(shape, Mapping) or not isinstance(shape.get("points"), list):
        raise BadEntryError("has no points")
    kind = shape.get("shape_type", "polygon")
    points = numbers(shape["points"])
    if kind == "rectangle" and len(points) == 4:
        (left, right), (top, bottom) = sorted(points[::2]), sorted(points[1::2])
        points_of = rectangle(left, top, right, bottom)
    elif kind in {"polygon", "rectangle", "rotation", "linestrip", None}:
        points_of = outline(points)
    else:
        raise BadEntryError(f"is a {kind}, which outlines no text")
    is_marked = truth(shape.get("difficult"), "difficult")  # by X-AnyLabeling
    ignore = is_marked or str(shape.get("label")).strip() == DONT_CARE
    return text_box(points_of, shape.get(text_key) if text_key else None, ignore)


def format_labelme(image: str, size: tuple[int, int], boxes: Sequence[TextBox]) -> str:
    """The JSON of an image, which is read back (the text of ignored boxes apart).

    Args:
        image: its path, as seen from the file.
        size: its width and height in pixels.
        boxes: its text, which becomes the description of a shape; the label of what is don't care
            is `###`.
    """
    shapes = [
        {
            "label": DONT_CARE if box.ignore else _NO_TEXT,
            "description": box.text or "",
            "points": box.points.tolist(),
            "shape_type": "polygon",
            "group_id": None,
            "flags": {},
        }
        for box in boxes
    ]
    tree: dict[str, object] = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[1],
        "imageWidth": size[0],
    }
    return json.dumps(tree, ensure_ascii=False, indent=1) + "\n"


LABELME = Format("labelme", "labelme", _claims, _read)
