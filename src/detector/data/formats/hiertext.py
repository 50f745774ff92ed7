"""HierText: one JSON of all images, with the words of lines of paragraphs.

    {"annotations": [{"image_id": "a", "paragraphs": [{"vertices", "legible", "lines": [
        {"vertices", "text", "legible", "words": [{"vertices", "text", "legible"}]}]}]}]}

Its words are taken; a line or paragraph without any, and what is not legible, is don't care. Its
files are called .jsonl, and hold one value.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from detector.data.formats.annotation import Annotation, numbers, outline, text_box, truth
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox

_SUFFIXES = frozenset({".json", ".jsonl"})
_INNER = ("lines", "words")
"""What paragraphs are made of, and lines."""


def _claims(file: LabelFile) -> bool:
    tree = file.tree_or_none if file.path.suffix.lower() in _SUFFIXES else None
    images = tree.get("annotations") if isinstance(tree, Mapping) else None
    return isinstance(images, list) and bool(images) and "paragraphs" in images[0]


def _read(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        for image in file.tree["annotations"]:
            size = (image.get("image_width"), image.get("image_height"))
            annotation = Annotation(declared_size=size if all(size) else None)
            parts = [part for whole in image["paragraphs"] for part in _innermost(whole)]
            for number, part in enumerate(parts, start=1):
                place = f"{image['image_id']} word {number}"
                annotation.add(place, partial(_parse, part))
            yield Entry(str(image["image_id"]), annotation, file)


def _innermost(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    inner = next((part[key] for key in _INNER if part.get(key)), None)
    if inner is None:
        yield part if "words" not in part and "lines" not in part else {**part, "legible": False}
    else:
        for one in inner:
            yield from _innermost(one)


def _parse(part: Mapping[str, Any]) -> TextBox:
    is_legible = truth(part.get("legible", True), "legible")
    return text_box(outline(numbers(part["vertices"])), part.get("text"), not is_legible)


HIERTEXT = Format("hiertext", "HierText", _claims, _read)
