"""docTR's labels.json for detectors: `{"a.jpg": {"polygons": [[[x, y], ...], ...]}}`.

Polygons are those of one class, or lists by class. There are no transcriptions.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from detector.data.formats.annotation import Annotation, numbers, outline
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox


def _claims(file: LabelFile) -> bool:
    if not file.is_json or not isinstance(file.tree, dict) or not file.tree:
        return False
    return all(isinstance(entry, Mapping) and "polygons" in entry for entry in file.tree.values())


def _read(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        for name, entry in file.tree.items():
            polygons = entry["polygons"]
            if isinstance(polygons, Mapping):
                polygons = [polygon for of_class in polygons.values() for polygon in of_class]
            annotation = Annotation()
            for number, polygon in enumerate(polygons, start=1):
                annotation.add(f"{name} polygon {number}", partial(_parse, polygon))
            yield Entry(name, annotation, file)


def _parse(polygon: object) -> TextBox:
    return TextBox(outline(numbers(polygon)))


DOCTR = Format("doctr", "docTR", _claims, _read)
