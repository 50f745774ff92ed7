"""Labels in XML: CVAT's «for images 1.1», CTW1500's training part, and Pascal VOC."""

from collections.abc import Iterator, Sequence
from functools import partial
from xml.etree import ElementTree

import numpy as np

from detector.data.formats.annotation import (
    TEXT_ATTRIBUTES,
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
from detector.data.formats.labels import Entry, Format, are_classes
from detector.data.page import TextBox


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
            if a.get("name", "").lower() in TEXT_ATTRIBUTES
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


def _claims_voc(file: LabelFile) -> bool:
    root = file.xml
    # A page without objects has its name and size.
    return root is not None and root.tag == "annotation" and root.find("filename") is not None


def _read_voc(files: Sequence[LabelFile]) -> Iterator[Entry]:
    roots = [(file, root) for file in files if (root := file.xml) is not None]
    names = [name.text for _, root in roots for name in root.iterfind("object/name")]
    has_texts = not are_classes(names)
    for file, root in roots:
        width, height = (root.findtext(f"size/{side}") for side in ("width", "height"))
        size = (int(width), int(height)) if width and height else None
        # labelImg writes a size of nothing for a picture that it could not open.
        annotation = Annotation(declared_size=size if size and all(size) else None)
        for number, shape in enumerate(root.iterfind("object"), start=1):
            annotation.add(f"object {number}", partial(_parse_voc, shape, has_texts))
        yield Entry("" if file.image else root.findtext("filename", ""), annotation, file)


def _parse_voc(shape: ElementTree.Element, has_texts: bool) -> TextBox:
    corners = [shape.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    text = shape.findtext("name") if has_texts else None
    is_marked = truth(shape.findtext("difficult", ""), "difficult")
    return text_box(rectangle(*numbers(corners, 4)), text, is_marked)


CVAT = Format("cvat", "CVAT for images", _claims_cvat, _read_cvat)
CTW1500_XML = Format("ctw1500_xml", "CTW1500 in XML", _claims_ctw1500, _read_ctw1500)
PASCAL_VOC = Format("pascal_voc", "Pascal VOC", _claims_voc, _read_voc)
