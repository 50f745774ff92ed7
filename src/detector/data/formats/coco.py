"""COCO's JSON of a whole data set, and that of COCO-Text and TextOCR.

    {"images": [{"id", "file_name", "width", "height"}],
     "annotations": [{"image_id", "segmentation": [[x, y, ...]], "bbox": [x, y, w, h]}]}

A box has the outline of its segmentation, or its bbox. COCO has no place for a transcription; it is
taken from where CVAT, AIHub, LabelMe's converters and COCO-Text put it. Crowds and illegible text
are don't care.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import shapely

from detector.data.formats.annotation import (
    Annotation,
    BadEntryError,
    numbers,
    outline,
    rectangle,
    rotated,
    text_box,
    truth,
)
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox
from detector.wording import counted

_TEXT_KEYS = ("text", "transcription", "utf8_string", "annotation.text", "caption", "rec")
_OUTLINE_KEYS = ("segmentation", "polygon", "mask", "points")
_UNREADABLE = frozenset({"xxx"})
"""What AIHub writes for text that cannot be read."""
_UNREADABLE_OF_TEXTOCR = "."
"""COCO-Text, which has the same keys, says it by `legibility`."""
_BOX_KEYS = ("bbox", "annotation.bbox")


def _claims_coco(file: LabelFile) -> bool:
    return _has(file, images=list, annotations=list)


def _claims_coco_text(file: LabelFile) -> bool:
    return _has(file, imgs=dict, anns=dict)


def _has(file: LabelFile, **parts: type) -> bool:
    if not file.has(**parts):
        return False
    images = next(iter(file.tree[key] for key in parts))
    first = next(iter(images.values() if isinstance(images, dict) else images), {"file_name": ""})
    return isinstance(first, Mapping) and "file_name" in first


def _read_coco(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        yield from _entries(file, file.tree["images"], file.tree["annotations"])


def _read_coco_text(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        yield from _entries(file, file.tree["imgs"].values(), file.tree["anns"].values())


def _entries(file: LabelFile, images: Any, annotations: Any) -> Iterator[Entry]:
    of_image: dict[Any, list[tuple[int, Any]]] = defaultdict(list)
    for number, entry in enumerate(annotations, start=1):
        # Some exports write ids as text in one place and as numbers in the other.
        of_image[str(entry.get("image_id"))].append((number, entry))
    for image in images:
        width, height = image.get("width"), image.get("height")
        is_known = isinstance(width, int) and isinstance(height, int) and width > 0 < height
        annotation = Annotation(declared_size=(width, height) if is_known else None)
        for number, entry in of_image.pop(str(image.get("id")), []):
            annotation.add(f"annotation {entry.get('id', number)}", partial(_parse, entry))
        yield Entry(str(image.get("file_name")), annotation, file)
    for image_id, entries in of_image.items():
        # Nobody has an image of this name, so it is said.
        yield Entry(
            f"image_id {image_id} of {counted(len(entries), 'annotation')}", Annotation(), file
        )


def _parse(entry: Mapping[str, Any]) -> TextBox:
    text = _text(entry)
    ignore = truth(entry.get("iscrowd"), "iscrowd") or entry.get("legibility") == "illegible"
    if "legibility" not in entry and entry.get("utf8_string") == _UNREADABLE_OF_TEXTOCR:
        ignore = True
    return text_box(_points(entry), text, ignore or text in _UNREADABLE)


def _points(entry: Mapping[str, Any]) -> Any:
    for key in _OUTLINE_KEYS:
        drawn = entry.get(key)
        if isinstance(drawn, Mapping):
            raise BadEntryError(f"{key} is a mask of pixels, not an outline")
        if drawn:
            parts = drawn if isinstance(drawn[0], list) else [drawn]
            outlines = [outline(numbers(part)) for part in parts]
            return outlines[0] if len(outlines) == 1 else _around(outlines)
    for key in _BOX_KEYS:
        if entry.get(key):
            left, top, width, height = numbers(entry[key], 4)
            turn = _attributes(entry).get("rotation")
            if turn:  # CVAT turns a box about its centre.
                centre = (left + width / 2, top + height / 2)
                return rotated(*centre, width, height, float(np.deg2rad(numbers(turn)[0])))
            return rectangle(left, top, left + width, top + height)
    raise BadEntryError("has neither a segmentation nor a bbox")


def _around(outlines: Sequence[Any]) -> Any:
    hull = shapely.MultiPoint(np.concatenate(outlines)).convex_hull
    if not isinstance(hull, shapely.Polygon):
        raise BadEntryError("its parts lie on a line")
    return np.array(hull.exterior.coords)[:-1]


def _text(entry: Mapping[str, Any]) -> Any:
    places = [entry, _attributes(entry)]
    return next((place[key] for place in places for key in _TEXT_KEYS if key in place), None)


def _attributes(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = entry.get("attributes")
    return attributes if isinstance(attributes, Mapping) else {}


def format_coco(images: Mapping[str, tuple[tuple[int, int], Sequence[TextBox]]]) -> str:
    """The JSON of a data set, which is read back (the text of ignored boxes apart).

    Args:
        images: by image name, the width and height in pixels, and the boxes.
    """
    rows: list[dict[str, object]] = []
    for image_id, (_, boxes) in enumerate(images.values(), start=1):
        rows += [_format_box(len(rows) + i, image_id, box) for i, box in enumerate(boxes, start=1)]
    tree = {
        "images": [
            {"id": image_id, "file_name": name, "width": width, "height": height}
            for image_id, (name, ((width, height), _)) in enumerate(images.items(), start=1)
        ],
        "annotations": rows,
        "categories": [{"id": 1, "name": "text", "supercategory": ""}],
    }
    return json.dumps(tree, ensure_ascii=False, indent=1) + "\n"


def _format_box(box_id: int, image_id: int, box: TextBox) -> dict[str, object]:
    left, top = box.points.min(axis=0).tolist()
    right, bottom = box.points.max(axis=0).tolist()
    return {
        "id": box_id,
        "image_id": image_id,
        "category_id": 1,
        "segmentation": [box.points.ravel().tolist()],
        "bbox": [left, top, right - left, bottom - top],
        "area": float(shapely.Polygon(box.points).area),
        "iscrowd": int(box.ignore),
        "attributes": {"text": None if box.ignore else box.text},
    }


COCO = Format("coco", "COCO", _claims_coco, _read_coco)
COCO_TEXT = Format("coco_text", "COCO-Text or TextOCR", _claims_coco_text, _read_coco_text)
