"""Scoring a network on labelled pages."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from detector.config.schema import DataConfig, PostprocessConfig
from detector.data.images import read_image
from detector.data.page import Page
from detector.data.resize import pad_to_stride, resize_page
from detector.metrics.cleval import DatasetScore, evaluate_pages
from detector.model.dbnet import DBNet
from detector.postprocess import Detections, decode, rescale

ProbabilityMap = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From an (H, W, 3) uint8 RGB picture with sides of multiples of 32 to its (H, W) probability map."""


def detect_page(
    image: NDArray[np.uint8],
    probability_map: ProbabilityMap,
    data: DataConfig,
    postprocess: PostprocessConfig,
) -> Detections:
    """The text on an (H, W, 3) uint8 RGB image, in the image's own pixels."""
    resized = resize_page(image, data.resize)
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
    return rescale(found, 1 / resized.scale_x, 1 / resized.scale_y, image.shape[1], image.shape[0])


def torch_probability_map(model: DBNet, data: DataConfig) -> ProbabilityMap:
    """Inference with `model` where it is, in evaluation mode."""
    device = next(model.parameters()).device
    mean = torch.tensor(data.mean, device=device).view(1, 3, 1, 1) * 255
    std = torch.tensor(data.std, device=device).view(1, 3, 1, 1) * 255

    @torch.inference_mode()
    def infer(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        image = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].to(device).float()
        normalised = ((image - mean) / std).contiguous(memory_format=torch.channels_last)
        return np.asarray(model.probability_map(normalised)[0].float().cpu(), np.float32)

    return infer


def score_pages(
    pages: Sequence[Page],
    probability_map: ProbabilityMap,
    data: DataConfig,
    postprocess: PostprocessConfig,
) -> DatasetScore:
    """CLEval of the text that is found on `pages`."""
    return evaluate_pages(
        (
            page.boxes,
            detect_page(
                read_image(page.image, data.max_pixels), probability_map, data, postprocess
            ).polygons,
        )
        for page in pages
    )
