"""DBNet's targets, written straight from the definitions and without any thought of speed.

The yardstick for `detector.data.targets` on simple outlines; it mends nothing.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pyclipper
import shapely
from numpy.typing import NDArray


def reference_targets(
    polygons: Sequence[NDArray[Any]],
    ignore: Sequence[bool],
    height: int,
    width: int,
    shrink_ratio: float = 0.4,
    low: float = 0.3,
    high: float = 0.7,
    widened: float = 0.0,
) -> tuple[NDArray[Any], ...]:
    """(shrink_map, shrink_mask, thresh_map, thresh_mask) of (H, W).

    The distance to an edge jumps where the edge is seen under a right angle. `widened` (in pixels)
    moves that place outwards: rounded results lie between those of a small one below and above 0.
    """
    shrink_map = np.zeros((height, width), np.uint8)
    shrink_mask = np.ones((height, width), np.uint8)
    nearness = np.zeros((height, width))
    thresh_mask = np.zeros((height, width), np.uint8)
    frame = shapely.box(0, 0, width - 1, height - 1)
    for polygon, ignored in zip(polygons, ignore, strict=True):
        for part in shapely.get_parts(shapely.Polygon(polygon).intersection(frame)):
            if part.area == 0:
                continue
            outline = np.array(part.exterior.coords)[:-1]
            shrunk = [] if ignored or min(np.ptp(outline, axis=0)) < 8 else shrink(part, outline)
            if not shrunk:
                cv2.fillPoly(shrink_mask, [outline.astype(np.int32)], 0)
                continue
            cv2.fillPoly(shrink_map, shrunk, 1)
            distance = part.area * (1 - shrink_ratio**2) / part.length
            border = offset(outline, distance)
            cv2.fillPoly(thresh_mask, border, 1)
            left, top = np.maximum(np.concatenate(border).min(axis=0), 0)
            right, bottom = np.concatenate(border).max(axis=0)
            y, x = np.mgrid[top : min(bottom + 1, height), left : min(right + 1, width)]
            fall = 1 - np.clip(distances(outline, x, y, widened) / distance, 0, 1)
            nearness[y, x] = np.maximum(nearness[y, x], fall)
    return shrink_map, shrink_mask, low + (high - low) * nearness, thresh_mask


def shrink(part: shapely.Polygon, outline: NDArray[Any]) -> list[NDArray[Any]]:
    pieces: list[NDArray[Any]] = []
    for ratio in (0.4, 0.8):
        pieces = offset(outline, -part.area * (1 - ratio**2) / part.length)
        if len(pieces) == 1:
            break
    return pieces


def offset(outline: NDArray[Any], distance: float) -> list[NDArray[Any]]:
    clipper = pyclipper.PyclipperOffset()
    clipper.AddPath(outline.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    return [np.array(path, np.int32) for path in clipper.Execute(distance)]


def distances(
    outline: NDArray[Any], x: NDArray[Any], y: NDArray[Any], widened: float
) -> NDArray[Any]:
    """Distance of every pixel to the nearest edge, in float64."""
    nearest = np.full(x.shape, np.inf)
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        to_a, to_b = np.hypot(x - ax, y - ay), np.hypot(x - bx, y - by)
        edge = np.hypot(bx - ax, by - ay)
        if edge == 0:
            continue
        to_line = np.abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / edge
        acute = to_a**2 + to_b**2 > edge**2 + widened * edge
        nearest = np.minimum(nearest, np.where(acute, np.minimum(to_a, to_b), to_line))
    return nearest
