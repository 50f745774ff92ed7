"""The JSON of VIA, the VGG Image Annotator: a project, or its export of annotations.

    {"a.jpg12345": {"filename": "a.jpg", "regions": [{
        "shape_attributes": {"name": "polygon", "all_points_x": [...], "all_points_y": [...]},
        "region_attributes": {"text": "TOTAL"}}]}}

VIA's first version has an object of regions in place of the list.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from detector.data.formats.annotation import (
    TEXT_ATTRIBUTES,
    Annotation,
    BadEntryError,
    in_turn,
    numbers,
    outline,
    rectangle,
    text_box,
)
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox


def _claims(file: LabelFile) -> bool:
    images = _images(file)
    return bool(images) and all("filename" in image and "regions" in image for image in images)


def _images(file: LabelFile) -> list[Any]:
    tree = file.tree if file.is_json else None
    if not isinstance(tree, Mapping):
        return []
    return list(tree.get("_via_img_metadata", tree).values())


def _read(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        for image in _images(file):
            regions = image["regions"]
            annotation = Annotation()
            for number, region in enumerate(_values(regions), start=1):
                place = f"{image['filename']} region {number}"
                annotation.add(place, partial(_parse, region))
            yield Entry(str(image["filename"]), annotation, file)


def _values(regions: Any) -> list[Any]:
    return list(regions.values() if isinstance(regions, Mapping) else regions)


def _parse(region: Mapping[str, Any]) -> TextBox:
    shape, attributes = region["shape_attributes"], region.get("region_attributes", {})
    text = next((v for key, v in attributes.items() if key.lower() in TEXT_ATTRIBUTES), None)
    kind = shape.get("name")
    if kind == "rect":
        x, y, width, height = numbers([shape[key] for key in ("x", "y", "width", "height")])
        return text_box(rectangle(x, y, x + width, y + height), text)
    if kind not in {"polygon", "polyline"}:
        raise BadEntryError(f"is a {kind}, which outlines no text")
    points = in_turn(shape["all_points_x"], shape["all_points_y"])
    return text_box(outline(points), text)


VIA = Format("via", "VIA", _claims, _read)
