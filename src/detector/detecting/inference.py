"""From an image to the text on it, with any network that gives probability maps. The one path that
validation, evaluation and prediction share; it knows neither torch nor onnxruntime."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.config.schema import SIZE_STEP, DataConfig, PostprocessConfig, ResizeConfig
from detector.data.images import read_image
from detector.data.page import Page, taken_evenly
from detector.data.resize import ResizedPage, pad_to_stride, resize_page
from detector.detecting.consensus import agree
from detector.detecting.postprocess import Detections, Regions, find_regions, rescale

Image = NDArray[np.uint8]
ProbabilityMap = Callable[[Image], NDArray[np.float32]]
"""From an (H, W, 3) RGB picture whose sides are multiples of 32 to its (H, W) map; of a consensus
to the (K, H, W) maps of all of its networks."""
Channels = tuple[float, float, float]
Detect = Callable[[Image], Detections]
"""From an (H, W, 3) RGB image of any size to the text on it, in the image's pixels."""


def detect_text(
    image: Image,
    probability_map: ProbabilityMap,
    resize: ResizeConfig,
    postprocess: PostprocessConfig,
) -> Detections:
    """The text on an (H, W, 3) uint8 RGB image, in the image's own pixels."""
    return detect_resized(resize_page(image, resize), probability_map, postprocess)


def detect_resized(
    page: ResizedPage, probability_map: ProbabilityMap, postprocess: PostprocessConfig
) -> Detections:
    """The text on a page that is scaled already, in the pixels of its image."""
    return read_map(draw_map(page, probability_map), page.image_size, postprocess)


def draw_map(page: ResizedPage, probability_map: ProbabilityMap) -> NDArray[np.float32]:
    """The (h, w) probability map, or the (K, h, w) maps, of a page that is scaled already, without
    its padding.

    A page in parts has the map of each part up to the middle of its overlap with the next one. So
    every pixel is drawn with what surrounds it, and text that lies on two parts has one outline.
    """
    along = 0 if page.pixels.shape[0] > page.pixels.shape[1] else 1
    length = page.pixels.shape[along]
    if page.part is None or page.part >= length:
        return _draw(page.pixels, probability_map)
    starts = _starts(length, page.part)
    seams = [0, *((one + page.part + other) // 2 for one, other in pairwise(starts)), length]
    drawn = []
    for start, (first, end) in zip(starts, pairwise(seams), strict=True):
        pixels = np.take(page.pixels, range(start, min(start + page.part, length)), axis=along)
        kept = slice(first - start, end - start)
        of_part = _draw(pixels, probability_map)
        drawn.append(of_part[..., kept, :] if along == 0 else of_part[..., kept])
    return np.concatenate(drawn, axis=along - 2)


def _draw(pixels: Image, probability_map: ProbabilityMap) -> NDArray[np.float32]:
    height, width = pixels.shape[:2]
    return probability_map(pad_to_stride(pixels))[..., :height, :width]


def _starts(length: int, part: int) -> list[int]:
    """Where parts begin that lie on each other by a quarter or more: at multiples of 32, as the
    network's own steps do.

    >>> _starts(1000, 512)
    [0, 256, 512]
    """
    steps, step = -(-(length - part) // SIZE_STEP), max(1, part * 3 // 4 // SIZE_STEP)
    count = -(-steps // step)
    return [SIZE_STEP * (steps * i // count) for i in range(count + 1)]


def read_map(
    probability: NDArray[np.float32], image_size: tuple[int, int], postprocess: PostprocessConfig
) -> Detections:
    """The text on an image by its (h, w) probability map, in the image's pixels; by (K, h, w) maps
    the text that most of them agree on.

    Args:
        image_size: width and height of the image, which the map covers.
    """
    if probability.ndim == 3:
        return agree([read_map(of_one, image_size, postprocess) for of_one in probability])
    return read_regions(regions_of(probability, postprocess), image_size, postprocess)


def regions_of(probability: NDArray[np.float32], postprocess: PostprocessConfig) -> Regions:
    """The first half of `read_map` of one (h, w) map: the same for every `box_thresh` and
    `unclip_ratio`."""
    return find_regions(
        probability,
        thresh=postprocess.thresh,
        min_size=postprocess.min_size,
        polygons=postprocess.use_polygon,
    )


def read_regions(
    regions: Regions, image_size: tuple[int, int], postprocess: PostprocessConfig
) -> Detections:
    """The second half of `read_map`."""
    found = regions.expanded(
        postprocess.box_thresh, postprocess.unclip_ratio, postprocess.max_candidates
    )
    (width, height), (image_width, image_height) = regions.size, image_size
    return rescale(found, image_width / width, image_height / height, image_width, image_height)


def network_input(image: Image, data: DataConfig) -> NDArray[np.float32]:
    """An (H, W, 3) uint8 image as the network takes it: (1, 3, h, w) float32, scaled and padded; of
    one that it sees in parts, the first."""
    page = resize_page(image, data.resize)
    pixels = pad_to_stride(page.pixels[: page.part, : page.part])
    return normalise(pixels, data.mean, data.std)


def network_inputs(
    pages: Sequence[Page], data: DataConfig, most: int
) -> Iterator[NDArray[np.float32]]:
    """(1, 3, H, W) of a few pages, evenly taken from all, as the network sees them."""
    for page in taken_evenly(pages, most):
        yield network_input(read_image(page.image, data.max_pixels), data)


def normalise(picture: Image, mean: Channels, std: Channels) -> NDArray[np.float32]:
    """The network's input: (1, 3, H, W) float32 of an (H, W, 3) uint8 picture."""
    inputs = np.empty((1, 3, *picture.shape[:2]), np.float32)
    for plane, level, channel in zip(
        cv2.split(picture), _levels(mean, std), inputs[0], strict=True
    ):
        cv2.LUT(plane, level, channel)
    return inputs


@lru_cache(maxsize=8)
def _levels(mean: Channels, std: Channels) -> NDArray[np.float32]:
    """(3, 256) float32: what each of a channel's 256 values becomes.

    Looking a pixel up takes a fiftieth of the time of working it out.
    """
    share = np.arange(256, dtype=np.float32) / np.float32(255)
    return (share - np.asarray(mean, np.float32)[:, None]) / np.asarray(std, np.float32)[:, None]
