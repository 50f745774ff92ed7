"""Draws what a detector found onto its page, and encodes it to look at.

Pictures for people: nothing is measured here, though a missed word is one that no prediction
covers with an IoU of 0.5, as the plain IoU metric has it.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.data.page import TextBox
from detector.evaluation.mistakes import Mistakes
from detector.geometry.outlines import meetings, regions

Color = tuple[int, int, int]

FOUND: Color = (22, 163, 74)
MISSED: Color = (220, 38, 38)
SPLIT: Color = (234, 138, 12)
MERGED: Color = (147, 51, 234)
FALSE: Color = (37, 99, 235)
DONT_CARE: Color = (140, 140, 140)

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
    return _draw(image, layers)


def _draw(
    image: NDArray[np.uint8], layers: Sequence[tuple[Sequence[NDArray[Any]], Color]]
) -> NDArray[np.uint8]:
    """The page with outlines in colors, later ones on top."""
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


def draw_mistakes(
    image: NDArray[np.uint8],
    predictions: Sequence[NDArray[Any]],
    truth: Sequence[TextBox],
    mistakes: Mistakes,
) -> NDArray[np.uint8]:
    """The page with its true outlines at the left, and with what was found at the right: missed
    words in red, split ones in orange, merging predictions in violet, false ones in blue.

    Args:
        image: (H, W, 3) uint8 RGB.
        predictions, truth, mistakes: as `find_mistakes` takes and returns them.

    Returns:
        (H, 2 W, 3) uint8 RGB.
    """
    cared = [box.points for box in truth if not box.ignore]
    left = _draw(image, [(cared, FOUND), ([b.points for b in truth if b.ignore], DONT_CARE)])
    right = _draw(
        image,
        [
            ([box.points for box in truth if box.ignore], DONT_CARE),
            (predictions, FOUND),
            ([predictions[i] for i in mistakes.false], FALSE),
            ([predictions[i] for i in mistakes.merged], MERGED),
            ([truth[i].points for i in mistakes.split], SPLIT),
            ([truth[i].points for i in mistakes.missed], MISSED),
        ],
    )
    return np.concatenate([left, right], axis=1)


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
    return np.asarray(np.rint(points), np.int32)


def _are_found(
    truth: Sequence[NDArray[Any]], predictions: Sequence[NDArray[Any]]
) -> NDArray[np.bool_]:
    """For each ground truth, whether a prediction covers it with an IoU of 0.5 or more."""
    met = meetings(regions(truth), regions(predictions))
    found = np.zeros(len(truth), dtype=bool)
    found[met.i[met.shared >= _FOUND_IOU * met.union]] = True
    return found
