"""Random changes of a training page: one geometric warp that cuts the crop, then changes of light.

Every change is drawn from the generator it is given, so a crop can be drawn again exactly.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.config.schema import AugmentConfig
from detector.data.resize import MEAN_GREY

Generator = np.random.Generator
Image = NDArray[np.uint8]


def draw_warp(
    size: tuple[int, int],
    crop: int,
    anchor: NDArray[np.float64] | None,
    config: AugmentConfig,
    rng: Generator,
) -> NDArray[np.float64]:
    """A random affine map from page to crop, (2, 3).

    Args:
        size: height and width of the page.
        crop: side of the square crop.
        anchor: (2,) a point of the page that shall be visible; None takes the page's centre.
        config: how far scale, proportions and angle may go; disabled, the page is only cut.
        rng: source of the draw.
    """
    height, width = size
    scale_x = scale_y = 1.0
    angle = 0.0
    flip = 1.0
    if config.enabled:
        scale_y = scale_x = np.exp(rng.uniform(*np.log(config.scale)))
        scale_x *= 1 + rng.uniform(-config.aspect, config.aspect)
        angle = np.deg2rad(rng.uniform(-config.rotate_degrees, config.rotate_degrees))
        if rng.random() < config.quarter_turn:
            angle += rng.integers(1, 4) * np.pi / 2
        flip = -1.0 if rng.random() < config.horizontal_flip else 1.0
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([scale_x * flip, scale_y])
    focus = np.array([width / 2, height / 2]) if anchor is None else anchor
    place = _place_of_focus(linear @ focus, linear, size, crop, rng)
    return np.column_stack([linear, place - linear @ focus])


def _place_of_focus(
    focus: NDArray[np.float64],
    linear: NDArray[np.float64],
    size: tuple[int, int],
    crop: int,
    rng: Generator,
) -> NDArray[np.float64]:
    """Where in the crop the focus shall lie: at random, but so that as little as possible of the
    crop lies outside the page, and a page smaller than the crop is wholly inside."""
    height, width = size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ linear.T
    before, after = corners.min(axis=0), corners.max(axis=0)
    place = rng.uniform(0.1 * crop, 0.9 * crop, size=2)
    lowest, highest = crop - (after - focus), focus - before
    return np.clip(place, np.minimum(lowest, highest), np.maximum(lowest, highest))


def apply_warp(page: Image, warp: NDArray[np.float64], crop: int) -> Image:
    """Cut the (crop, crop, 3) picture that `warp` maps the page to."""
    shrinks = np.sqrt(abs(np.linalg.det(warp[:, :2]))) < 0.7
    picture = cv2.warpAffine(
        page,
        warp,
        (crop, crop),
        flags=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=MEAN_GREY,
    )
    return np.asarray(picture, np.uint8)


def warp_outlines(
    outlines: Sequence[NDArray[np.float64]], warp: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """(V, 2) outlines on the page as outlines on the crop."""
    if not outlines:
        return []
    warped = np.concatenate(outlines) @ warp[:, :2].T + warp[:, 2]
    ends = accumulate(len(outline) for outline in outlines)
    return [warped[start:end] for start, end in pairwise([0, *ends])]


def change_light(picture: Image, config: AugmentConfig, rng: Generator) -> Image:
    """Brightness, contrast, a shadow, blur and noise, as `config` allows."""
    if not config.enabled:
        return picture
    gain = 1 + rng.uniform(-config.contrast, config.contrast)
    shift = 255 * rng.uniform(-config.brightness, config.brightness)
    levels = np.clip((np.arange(256) - 128) * gain + 128 + shift, 0, 255).astype(np.uint8)
    changed = np.asarray(cv2.LUT(picture, levels), np.uint8)
    if rng.random() < config.shadow:
        changed = _cast_shadow(changed, rng)
    if rng.random() < config.blur:
        changed = np.asarray(cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.4, 1.2)), np.uint8)
    if rng.random() < config.noise:
        noise = rng.normal(0, rng.uniform(2, 10), changed.shape)
        changed = np.clip(changed + noise, 0, 255).astype(np.uint8)
    return changed


def _cast_shadow(picture: Image, rng: Generator) -> Image:
    """Darken one side of a random line, with a soft edge."""
    size = picture.shape[0]
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4) * size
    y, x = np.ogrid[:size, :size]
    distance = (x - size / 2) * np.cos(angle) + (y - size / 2) * np.sin(angle) - offset
    softness = rng.uniform(0.01, 0.2) * size
    lit = np.clip(distance / softness, 0, 1)
    darkest = rng.uniform(0.4, 0.9)
    shade = (darkest + (1 - darkest) * lit)[..., None]
    return np.asarray(picture * shade.astype(np.float32), np.uint8)
