"""How a page becomes the network's input: scaled by the configured rule, padded at the right and
the bottom. Training, validation and prediction all use it, so they see the same pixels.

A page that is much longer than wide, such as a strip of 253 x 14400 pixels, would have no text left
at that scale. It is scaled as its parts would be, and the network sees one part after the other:
see `detector.detecting.inference.draw_map`.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.config.schema import SIZE_STEP, ResizeConfig

MEAN_GREY = (124, 116, 104)
"""Fill of what is no page: ImageNet's mean colour, which is zero once normalised."""


_SHRUNK = 0.5
"""A page is seen in parts where its scale as a whole is less than this share of theirs."""
_PART = 2.0
"""How many times as long as wide a part is, where the longest side decides the scale."""
_LONGEST = 32_000
"""No page becomes longer than this; OpenCV draws no coordinates above 32,767."""


class ResizedPage(NamedTuple):
    """A page at the network's scale.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, unpadded.
        scale_x, scale_y: pixels here for one pixel of the image.
        image_size: width and height of the image.
        part: how long the parts are that the network sees, a multiple of 32; None if it sees the
            page whole.
    """

    pixels: NDArray[np.uint8]
    scale_x: float
    scale_y: float
    image_size: tuple[int, int]
    part: int | None = None


def resize_page(image: NDArray[np.uint8], rule: ResizeConfig) -> ResizedPage:
    """Scale an (H, W, 3) uint8 image by `rule`, keeping its proportions to the pixel."""
    height, width = image.shape[:2]
    scale, part = _scale(max(height, width), min(height, width), rule)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = cv2.resize(image, (new_width, new_height), interpolation=interpolation)
    scale_x, scale_y = new_width / width, new_height / height
    return ResizedPage(np.asarray(pixels, np.uint8), scale_x, scale_y, (width, height), part)


def _scale(longest: float, shortest: float, rule: ResizeConfig) -> tuple[float, int | None]:
    """How much a page is scaled, and how long its parts are then if it is seen in parts.

    >>> strip = ResizeConfig(side=768)
    >>> _scale(1000, 300, strip), _scale(14400, 253, strip)[1]
    ((0.768, None), 768)
    """
    whole = _scale_of_whole(longest, shortest, rule)
    proportion = _PART if rule.rule == "longest_side" else rule.max_side / rule.side
    part = _scale_of_whole(max(1.0, proportion) * shortest, shortest, rule)
    if whole >= _SHRUNK * part:
        return whole, None
    length = min(rule.side, rule.max_side) if rule.rule == "longest_side" else rule.max_side
    length = max(SIZE_STEP, length // SIZE_STEP * SIZE_STEP)
    return max(whole, min(part, _LONGEST / longest)), length


def _scale_of_whole(longest: float, shortest: float, rule: ResizeConfig) -> float:
    scale = rule.side / (longest if rule.rule == "longest_side" else shortest)
    return min(scale, rule.max_side / longest)


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
