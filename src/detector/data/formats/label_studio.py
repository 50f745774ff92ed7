"""Label Studio's JSON export: a list of tasks, whose results lie in percent of the image.

A region and its transcription are results of one `id`. A rectangle turns clockwise about its own
top left corner.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from detector.data.formats.annotation import (
    Annotation,
    BadEntryError,
    numbers,
    outline,
    text_box,
)
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry, Format
from detector.data.page import TextBox

_SHAPES = frozenset({"points", "width", "radiusX", "rle", "format"})
"""One of these keys is in the value of each region."""
_NO_OUTLINES = _SHAPES - {"points", "width"}


def _claims(file: LabelFile) -> bool:
    tasks = file.tree if file.is_json else None
    return bool(
        isinstance(tasks, list)
        and tasks
        and all(isinstance(task, Mapping) and "data" in task for task in tasks)
        and any("annotations" in task or "completions" in task for task in tasks)
    )


def _read(files: Sequence[LabelFile]) -> Iterator[Entry]:
    for file in files:
        for number, task in enumerate(file.tree, start=1):
            annotation = _annotation(task, number)
            if annotation is not None:
                yield Entry(_image_of(task), annotation, file)


def _annotation(task: Mapping[str, Any], number: int) -> Annotation | None:
    """The annotation that is marked as the truth, or the last one; None where there is none."""
    versions = task.get("annotations") or task.get("completions") or []
    kept = [v for v in versions if isinstance(v, Mapping) and not v.get("was_cancelled")]
    if not kept:
        return None
    chosen = next((v for v in kept if v.get("ground_truth")), kept[-1])
    results = [r for r in chosen.get("result", []) if isinstance(r, Mapping)]
    texts = {r.get("id"): _text(r["value"]) for r in results if "text" in r.get("value", {})}
    annotation = Annotation()
    seen: set[str] = set()
    for place_in_task, result in enumerate(results, start=1):
        value = result.get("value", {})
        region = str(result.get("id", place_in_task))
        # A region's label and its text repeat where it lies.
        if region not in seen and _SHAPES & value.keys():
            seen.add(region)
            place = f"task {task.get('id', number)} {region}"
            annotation.add(place, partial(_parse, result, texts.get(result.get("id"))))
    return annotation


def _parse(result: Mapping[str, Any], text: str | None) -> TextBox:
    size = numbers([result.get("original_width"), result.get("original_height")], 2)
    value = result["value"]
    if _NO_OUTLINES & value.keys():
        raise BadEntryError(f"is a {result.get('type')}, which outlines no text")
    if "points" in value:
        points = np.array(numbers(value["points"])).reshape(-1, 2) / 100 * size
    else:
        points = _rectangle(value, np.array(size))
    return text_box(outline(points.ravel().tolist()), text)


def _rectangle(value: Mapping[str, Any], size: Any) -> Any:
    x, y, width, height, degrees = numbers(
        [value.get(key, 0) for key in ("x", "y", "width", "height", "rotation")], 5
    )
    start = np.array([x, y]) / 100 * size
    width, height = np.array([width, height]) / 100 * size
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    across, down = width * np.array([cos, sin]), height * np.array([-sin, cos])
    return np.array([start, start + across, start + across + down, start + down])


def _text(value: Mapping[str, Any]) -> str | None:
    text = value.get("text")
    if isinstance(text, list):
        text = " ".join(map(str, text))
    return text if isinstance(text, str) else None


def _image_of(task: Mapping[str, Any]) -> str:
    data = task["data"]
    urls = [value for value in data.values() if isinstance(value, str)]
    parts = urlsplit(urls[0])
    # Files that Label Studio serves from a folder have their path in `?d=`.
    path = parts.query.removeprefix("d=") if parts.query.startswith("d=") else parts.path
    return PurePosixPath(unquote(path)).name


LABEL_STUDIO = Format("label_studio", "Label Studio", _claims, _read)
