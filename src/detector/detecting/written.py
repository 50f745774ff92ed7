"""Found outlines as files that other programs read: JSON and CSV."""

import csv
import io
import json
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from detector.detecting.postprocess import Detections


def as_json(found: Mapping[str, Detections]) -> str:
    """The outlines of each image, by its name; coordinates in hundredths of a pixel.

    >>> quad = np.array([[0, 0], [9, 0], [9, 4], [0, 4]], np.float32)
    >>> found = {"a.jpg": Detections([quad], np.array([0.5], np.float32))}
    >>> json.loads(as_json(found))["images"]["a.jpg"][0]["score"]
    0.5
    """
    images = {name: _outlines(detections) for name, detections in found.items()}
    return json.dumps({"images": images}, indent=1, ensure_ascii=False) + "\n"


def as_line(name: str, detections: Detections) -> str:
    """The outlines of one image as a line of JSON.

    >>> quad = np.array([[0, 0], [9, 0], [9, 4], [0, 4]], np.float32)
    >>> json.loads(as_line("a.jpg", Detections([quad], np.array([0.5], np.float32))))["image"]
    'a.jpg'
    """
    line = {"image": name, "outlines": _outlines(detections)}
    return json.dumps(line, ensure_ascii=False) + "\n"


def _outlines(detections: Detections) -> list[dict[str, object]]:
    return [
        {"points": _hundredths(outline.points), "score": round(outline.score, 4)}
        for outline in detections
    ]


def _hundredths(points: NDArray[np.float32]) -> list[list[float]]:
    """Rounded as doubles, for a rounded float32 shows many digits again."""
    rounded: list[list[float]] = points.astype(np.float64).round(2).tolist()
    return rounded


def as_csv(found: Mapping[str, Detections]) -> str:
    """A line for each outline, `image,score,points`; coordinates in tenths of a pixel.

    >>> quad = np.array([[0, 0], [9, 0], [9, 4], [0, 4]], np.float32)
    >>> as_csv({"a.jpg": Detections([quad], np.array([0.5], np.float32))}).splitlines()[1]
    'a.jpg,0.5000,"0.0,0.0 9.0,0.0 9.0,4.0 0.0,4.0"'
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["image", "score", "points"])
    writer.writerows(_rows(found))
    return lines.getvalue()


def _rows(found: Mapping[str, Detections]) -> Iterable[tuple[str, str, str]]:
    for name, detections in found.items():
        for outline in detections:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline.points)
            yield name, f"{outline.score:.4f}", points
