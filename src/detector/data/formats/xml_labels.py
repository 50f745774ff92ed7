"""Labels in XML: CVAT's «for images 1.1», and CTW1500's training part."""

from collections.abc import Iterator, Sequence
from functools import partial
from xml.etree import ElementTree

import numpy as np

from detector.data.formats.annotation import (
    Annotation,
    BadEntryError,
    numbers,
    outline,
    rectangle,
    rotated,
    text_box,
)
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox

_TEXT_ATTRIBUTES = frozenset({"text", "transcription", "transcript", "value", "label", "ocr"})


def _claims_cvat(file: LabelFile) -> bool:
    root = file.xml
    return root is not None and root.tag == "annotations" and root.find("image[@name]") is not None


def _read_cvat(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        root = file.xml
        for image in root.findall("image") if root is not None else []:
            width, height = image.get("width"), image.get("height")
            size = (round(float(width)), round(float(height))) if width and height else None
            annotation = Annotation(declared_size=size)
            for number, shape in enumerate(image, start=1):
                if shape.tag != "tag":
                    place = f"{image.get('name')} shape {number}"
                    annotation.add(place, partial(_parse_cvat, shape))
            yield Entry(image.get("name", ""), annotation, file)


def _parse_cvat(shape: ElementTree.Element) -> TextBox:
    text = next(
        (
            a.text
            for a in shape.findall("attribute")
            if a.get("name", "").lower() in _TEXT_ATTRIBUTES
        ),
        None,
    )
    if shape.tag == "polygon":
        values = shape.get("points", "").replace(";", ",").split(",")
        return text_box(outline(numbers(values)), text)
    if shape.tag != "box":
        raise BadEntryError(f"is a {shape.tag}, which outlines no text")
    left, top, right, bottom = numbers([shape.get(key) for key in ("xtl", "ytl", "xbr", "ybr")], 4)
    (turn,) = numbers([shape.get("rotation", 0)])
    if not turn:
        return text_box(rectangle(left, top, right, bottom), text)
    centre = ((left + right) / 2, (top + bottom) / 2)
    points = rotated(*centre, right - left, bottom - top, float(np.deg2rad(turn)))
    return text_box(points, text)


def _claims_ctw1500(file: LabelFile) -> bool:
    root = file.xml
    return (
        root is not None and root.tag == "Annotations" and root.find("image/box/segs") is not None
    )


def _read_ctw1500(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        root = file.xml
        for image in root.findall("image") if root is not None else []:
            annotation = Annotation()
            for number, box in enumerate(image.findall("box"), start=1):
                annotation.add(f"box {number}", partial(_parse_ctw1500, box))
            yield Entry(image.get("file", ""), annotation, file)


def _parse_ctw1500(box: ElementTree.Element) -> TextBox:
    return text_box(outline(numbers(box.findtext("segs", "").split(","))), box.findtext("label"))


CVAT = Format("cvat", "CVAT for images", _claims_cvat, _read_cvat)
CTW1500_XML = Format("ctw1500_xml", "CTW1500 in XML", _claims_ctw1500, _read_ctw1500)
