"""Found outlines as files that other programs read: JSON and CSV."""

import csv
import io
import json
from collections.abc import Iterable, Mapping

from detector.detecting.postprocess import Detections


def as_json(found: Mapping[str, Detections]) -> str:
    """The outlines of each image, by its name; coordinates in hundredths of a pixel.

    >>> import numpy as np
    >>> quad = np.array([[0, 0], [9, 0], [9, 4], [0, 4]], np.float32)
    >>> found = {"a.jpg": Detections([quad], np.array([0.5], np.float32))}
    >>> json.loads(as_json(found))["images"]["a.jpg"][0]["score"]
    0.5
    """
    images = {
        name: [
            {"points": outline.points.round(2).tolist(), "score": round(outline.score, 4)}
            for outline in detections
        ]
        for name, detections in found.items()
    }
    return json.dumps({"images": images}, indent=1, ensure_ascii=False) + "\n"


def as_csv(found: Mapping[str, Detections]) -> str:
    """A line for each outline, `image,score,points`; coordinates in tenths of a pixel.

    >>> import numpy as np
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
