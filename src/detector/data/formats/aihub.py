"""The OCR data sets of AIHub (Korea): a JSON for each image, in two shapes.

    {"Images": {"identifier", "width", "height"}, "bbox": [{"data", "x": [4], "y": [4]}]}
    {"images": [{"identifier"}], "annotations": [{"polygons": [{"text", "points": [[x, y], …]}]}]}

A third is COCO's, with the text beside the bbox; `coco` reads it. Text that cannot be read is left
empty or written as `xxx`, which is don't care.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from detector.data.formats.annotation import Annotation, in_turn, numbers, outline, text_box
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox

_UNREADABLE = "xxx"


def _claims(file: LabelFile) -> bool:
    tree = file.tree if file.is_json else None
    if not isinstance(tree, dict):
        return False
    if isinstance(tree.get("bbox"), list):
        return all(isinstance(box, Mapping) and {"x", "y"} <= box.keys() for box in tree["bbox"])
    groups = tree.get("annotations")
    return isinstance(groups, list) and any("polygons" in group for group in groups)


def _read(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        annotation = Annotation()
        for number, box in enumerate(_boxes(file.tree), start=1):
            annotation.add(f"box {box.get('id', number)}", partial(_parse, box))
        yield Entry("", annotation, file)


def _boxes(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "bbox" in tree:
        return list(tree["bbox"])
    return [box for group in tree["annotations"] for box in group.get("polygons", ())]


def _parse(box: Mapping[str, Any]) -> TextBox:
    text = box.get("data", box.get("text"))
    if "points" in box:
        return text_box(outline(numbers(box["points"])), text, text == _UNREADABLE)
    # Corners are written row by row, so that the outline of four crosses itself.
    return text_box(outline(in_turn(box["x"], box["y"])), text, text == _UNREADABLE)


AIHUB = Format("aihub", "AIHub", _claims, _read)
