"""DBNet's decoding, step by step as PaddleOCR does it, without any thought of speed.

The yardstick for `detector.detecting.postprocess`. It differs from PaddleOCR where that module's
docstring says so: outlines of holes are left out, a split keeps its largest piece, polygons are
simplified by a pixel at least, nothing is rounded.
"""

from typing import Any

import cv2
import numpy as np
import pyclipper
import shapely
from numpy.typing import NDArray


def reference_decode(
    heat: NDArray[Any],
    thresh: float = 0.3,
    box_thresh: float = 0.5,
    unclip_ratio: float = 1.5,
    min_size: float = 3,
) -> list[tuple[NDArray[Any], float]]:
    """[(quad (4, 2), score)] in map pixels."""
    height, width = heat.shape
    found = []
    for contour in outer_contours(heat, thresh):
        quad, side = smallest_rectangle(contour)
        if side < min_size:
            continue
        score = mean_inside(heat, quad)
        if score < box_thresh:
            continue
        quad, side = smallest_rectangle(unclip(quad, unclip_ratio))
        if side >= min_size + 2:
            found.append((np.clip(quad, 0, (width, height)), score))
    return found


def reference_decode_polygons(
    heat: NDArray[Any],
    thresh: float = 0.3,
    box_thresh: float = 0.5,
    unclip_ratio: float = 1.5,
    min_size: float = 3,
) -> list[tuple[NDArray[Any], float]]:
    """[(polygon (V, 2), score)] in map pixels."""
    height, width = heat.shape
    found = []
    for contour in outer_contours(heat, thresh):
        points = cv2.approxPolyDP(contour, max(1, 0.002 * cv2.arcLength(contour, True)), True)
        points = points.reshape(-1, 2)
        if len(points) < 4 or shapely.Polygon(points).area == 0:
            continue
        score = mean_inside(heat, points.astype(float))
        if score < box_thresh:
            continue
        expanded = unclip(points, unclip_ratio)
        if smallest_rectangle(expanded)[1] >= min_size + 2:
            found.append((np.clip(expanded, 0, (width, height)), score))
    return found


def outer_contours(heat: NDArray[Any], thresh: float) -> list[NDArray[Any]]:
    binary = (heat > thresh).astype(np.uint8) * 255
    contours, hierarchy = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [contours[i] for i in range(len(contours)) if hierarchy[0][i][3] == -1]


def smallest_rectangle(points: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Its corners, clockwise from the top left, and its shorter side."""
    rectangle = cv2.minAreaRect(points)
    a, b, c, d = sorted(cv2.boxPoints(rectangle).tolist(), key=lambda corner: corner[0])
    left = [a, b] if b[1] > a[1] else [b, a]
    right = [c, d] if d[1] > c[1] else [d, c]
    return np.array([left[0], right[0], right[1], left[1]], np.float32), min(rectangle[1])


def mean_inside(heat: NDArray[Any], outline: NDArray[Any]) -> float:
    height, width = heat.shape
    left, right = np.clip(
        [np.floor(outline[:, 0].min()), np.ceil(outline[:, 0].max())], 0, width - 1
    )
    top, bottom = np.clip(
        [np.floor(outline[:, 1].min()), np.ceil(outline[:, 1].max())], 0, height - 1
    )
    left, right, top, bottom = int(left), int(right), int(top), int(bottom)
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(outline - (left, top)).astype(np.int32)], 1)
    return cv2.mean(heat[top : bottom + 1, left : right + 1], mask)[0]


def unclip(outline: NDArray[Any], ratio: float) -> NDArray[Any]:
    polygon = shapely.Polygon(outline)
    clipper = pyclipper.PyclipperOffset()
    clipper.AddPath(outline.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    pieces = clipper.Execute(polygon.area * ratio / polygon.length)
    return max((np.array(piece, np.int32) for piece in pieces), key=cv2.contourArea)
