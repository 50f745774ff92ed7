"""What is put right in labels as they are read, where only one reading makes sense. The rest is an
error, for a person to mend (`detector.data.boxes`)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from detector.data.page import TextBox

_MAIN_PART = 0.95
"""The share of a crossing outline's area that one part has to have, to be what was meant."""

Points = NDArray[np.float64]


def mended(boxes: Sequence[TextBox]) -> tuple[list[TextBox], Counter[str]]:
    """Boxes as they were meant, and how often each kind of mistake was mended.

    - A transcription of nothing but blanks is none: the box is scored by its area.
    - A point that is repeated next to itself, as in a closed ring, is one point.
    - Corners in the order of reading (the lower ones from the left too) go around their outline.
    - An outline that crosses itself in a tip is what is left without it.
    - An outline that runs anti-clockwise on the screen runs clockwise, from the same first point.

    Args:
        boxes: as they were read.
    """
    counts: Counter[str] = Counter()
    found = []
    for box in boxes:
        points = _without_repeats(box.points)
        if not shapely.is_valid(shapely.Polygon(points)):
            points = _uncrossed(points, counts)
        if _runs_anticlockwise(points):
            counts["ran anti-clockwise"] += 1
            points = np.vstack([points[:1], points[:0:-1]])
        text = box.text if box.text and box.text.strip() else None
        found.append(replace(box, points=points, text=text))
    return found, counts


def mends_in_words(counts: Counter[str]) -> Iterator[str]:
    """What was mended, for a person."""
    for what, count in sorted(counts.items()):
        noun = "an outline" if count == 1 else f"{count} outlines"
        yield f"{noun} {what}: read as meant"


def _without_repeats(points: Points) -> Points:
    """Three points are left in any case: whether they enclose an area is for others to say."""
    repeats = (points == np.roll(points, 1, axis=0)).all(axis=1)
    return points[~repeats] if len(points) - repeats.sum() >= 3 else points


def _runs_anticlockwise(points: Points) -> bool:
    # On a screen y grows downwards, so the usual sign is turned about.
    x, y = points[:, 0], points[:, 1]
    return bool(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)) < 0)


def _uncrossed(points: Points, counts: Counter[str]) -> Points:
    """The outline that was meant; as it is, where that is not clear."""
    if len(points) == 4:
        hull = _as_points(shapely.MultiPoint(points).convex_hull)
        if hull is not None and len(hull) == 4:
            counts["had corners in the order Z"] += 1
            return _from(points[0], hull)
        return points
    parts = [
        part
        for part in shapely.get_parts(shapely.make_valid(shapely.Polygon(points)))
        if isinstance(part, shapely.Polygon)
    ]
    largest = max(parts, key=lambda part: part.area, default=None)
    if largest is None or largest.area < _MAIN_PART * sum(part.area for part in parts):
        return points
    counts["crossed or touched itself in a tip"] += 1
    ring = _as_points(largest)
    return points if ring is None else _from(points[0], ring)


def _as_points(shape: shapely.Geometry) -> Points | None:
    """The outline of a polygon, clockwise on a screen; None of a line or a point."""
    if not isinstance(shape, shapely.Polygon):
        return None
    ring = np.asarray(shape.exterior.coords, np.float64)[:-1]
    return ring[::-1] if _runs_anticlockwise(ring) else ring


def _from(first: Points, ring: Points) -> Points:
    """The ring from its point on that lies nearest to `first`."""
    start = int(np.abs(ring - first).sum(axis=1).argmin())
    return np.roll(ring, -start, axis=0)
