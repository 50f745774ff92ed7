"""Draws what a detector found onto its page, and encodes it to look at.

Pictures for people: nothing is measured here, though a missed word is one that no prediction
covers with an IoU of 0.5, as the plain IoU metric has it.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from detector.data.page import TextBox
from detector.geometry import regions

FOUND = (22, 163, 74)
MISSED = (220, 38, 38)
DONT_CARE = (140, 140, 140)

_FOUND_IOU = 0.5
_FILL = 0.16
_QUALITIES = (85, 75, 65, 55, 45, 35, 25)


def draw_overlay(
    image: NDArray[np.uint8],
    predictions: Sequence[NDArray[Any]],
    truth: Sequence[TextBox] = (),
) -> NDArray[np.uint8]:
    """A copy of the page with predictions in green, missed words in red and don't-cares in grey.

    Args:
        image: (H, W, 3) uint8 RGB.
        predictions: (V, 2) outlines in pixels of the image, V >= 3.
        truth: the page's text boxes, where they are known.

    Returns:
        (H, W, 3) uint8 RGB.

    >>> page = np.full((40, 80, 3), 255, np.uint8)
    >>> word = np.array([[10, 10], [70, 10], [70, 30], [10, 30]])
    >>> draw_overlay(page, [word])[10, 40].tolist() == list(FOUND)
    True
    """
    cared = [box.points for box in truth if not box.ignore]
    found = _are_found(cared, predictions)
    layers = (
        ([box.points for box in truth if box.ignore], DONT_CARE),
        (predictions, FOUND),
        ([points for points, hit in zip(cared, found, strict=True) if not hit], MISSED),
    )
    filled = image.copy()
    for outlines, color in layers:
        for points in outlines:
            cv2.fillPoly(filled, [_pixels(points)], color)
    drawn = cv2.addWeighted(filled, _FILL, image, 1 - _FILL, 0)
    # Lines stay visible when the page is scaled down to be shown.
    width = max(1, round(max(image.shape[:2]) / 600))
    for outlines, color in layers:
        outlined = [_pixels(points) for points in outlines]
        cv2.polylines(drawn, outlined, isClosed=True, color=color, thickness=width)
    return np.asarray(drawn, np.uint8)


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """The (H, W, 3) uint8 RGB image as PNG, every pixel kept."""
    return _encode(".png", image)


def encode_jpeg(
    image: NDArray[np.uint8], *, longest_side: int = 900, max_bytes: int = 100_000
) -> bytes:
    """The (H, W, 3) uint8 RGB image as a JPEG small enough to embed in a report.

    Scaled down to `longest_side` pixels if it is larger; of the qualities that fit into
    `max_bytes` the best is taken, or the lowest if none fits.
    """
    height, width = image.shape[:2]
    scale = longest_side / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    encoded = b""
    for quality in _QUALITIES:
        encoded = _encode(".jpg", image, cv2.IMWRITE_JPEG_QUALITY, quality)
        if len(encoded) <= max_bytes:
            break
    return encoded


def _encode(extension: str, image: NDArray[np.uint8], *settings: int) -> bytes:
    _, encoded = cv2.imencode(extension, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    return encoded.tobytes()


def _pixels(points: NDArray[Any]) -> NDArray[np.int32]:
    return np.rint(points).astype(np.int32)


def _are_found(
    truth: Sequence[NDArray[Any]], predictions: Sequence[NDArray[Any]]
) -> NDArray[np.bool_]:
    """For each ground truth, whether a prediction covers it with an IoU of 0.5 or more."""
    gt, det = regions(truth), regions(predictions)
    g, d = shapely.STRtree(det).query(gt, predicate="intersects")
    overlap = shapely.area(shapely.intersection(gt[g], det[d]))
    union = shapely.area(gt[g]) + shapely.area(det[d]) - overlap
    found = np.zeros(len(gt), dtype=bool)
    found[g[overlap >= _FOUND_IOU * union]] = True
    return found
