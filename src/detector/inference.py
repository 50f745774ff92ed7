"""From an image to the text on it, with any network that gives probability maps. The one path that
validation, evaluation and prediction share; it knows neither torch nor onnxruntime."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from detector.config.schema import PostprocessConfig, ResizeConfig
from detector.data.resize import pad_to_stride, resize_page
from detector.postprocess import Detections, decode, rescale

Image = NDArray[np.uint8]
ProbabilityMap = Callable[[Image], NDArray[np.float32]]
"""From an (H, W, 3) RGB picture whose sides are multiples of 32 to its (H, W) map."""
Detect = Callable[[Image], Detections]
"""From an (H, W, 3) RGB image of any size to the text on it, in the image's pixels."""


def detect_text(
    image: Image,
    probability_map: ProbabilityMap,
    resize: ResizeConfig,
    postprocess: PostprocessConfig,
) -> Detections:
    """The text on an (H, W, 3) uint8 RGB image, in the image's own pixels."""
    resized = resize_page(image, resize)
    height, width = resized.pixels.shape[:2]
    probability = probability_map(pad_to_stride(resized.pixels))[:height, :width]
    found = decode(
        np.ascontiguousarray(probability),
        thresh=postprocess.thresh,
        box_thresh=postprocess.box_thresh,
        unclip_ratio=postprocess.unclip_ratio,
        min_size=postprocess.min_size,
        max_candidates=postprocess.max_candidates,
        polygons=postprocess.use_polygon,
    )
    scale_x, scale_y = 1 / resized.scale_x, 1 / resized.scale_y
    return rescale(found, scale_x, scale_y, image.shape[1], image.shape[0])


def normalise(
    picture: Image, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> NDArray[np.float32]:
    """The network's input: (1, 3, H, W) float32 of an (H, W, 3) uint8 picture."""
    scaled = (picture / np.float32(255) - np.asarray(mean, np.float32)) / np.asarray(
        std, np.float32
    )
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], dtype=np.float32)
