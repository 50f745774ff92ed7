"""How a page becomes the network's input: scaled by the configured rule, padded at the right and
the bottom. Training, validation and prediction all use it, so they see the same pixels."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.config.schema import SIZE_STEP, ResizeConfig

MEAN_GREY = (124, 116, 104)
"""Fill of what is no page: ImageNet's mean colour, which is zero once normalised."""


class ResizedPage(NamedTuple):
    """A page at the network's scale.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, unpadded.
        scale_x, scale_y: pixels here for one pixel of the image.
        image_size: width and height of the image.
    """

    pixels: NDArray[np.uint8]
    scale_x: float
    scale_y: float
    image_size: tuple[int, int]


def resize_page(image: NDArray[np.uint8], rule: ResizeConfig) -> ResizedPage:
    """Scale an (H, W, 3) uint8 image by `rule`, keeping its proportions to the pixel."""
    height, width = image.shape[:2]
    longest, shortest = max(height, width), min(height, width)
    scale = rule.side / (longest if rule.rule == "longest_side" else shortest)
    scale = min(scale, rule.max_side / longest)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = cv2.resize(image, (new_width, new_height), interpolation=interpolation)
    scale_x, scale_y = new_width / width, new_height / height
    return ResizedPage(np.asarray(pixels, np.uint8), scale_x, scale_y, (width, height))


def pad_to_stride(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pad an (h, w, 3) image at the right and the bottom to multiples of 32.

    >>> pad_to_stride(np.zeros((30, 65, 3), np.uint8)).shape
    (32, 96, 3)
    """
    height, width = pixels.shape[:2]
    down, right = -height % SIZE_STEP, -width % SIZE_STEP
    if not down and not right:
        return pixels
    padded = cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_CONSTANT, value=MEAN_GREY)
    return np.asarray(padded, np.uint8)
