"""A network in torch as a detector, for validation and comparison."""

import numpy as np
import torch

from detector.config import Config
from detector.inference import Detect, Image, detect_text, normalise
from detector.model.dbnet import DBNet
from detector.postprocess import Detections


def torch_detector(network: DBNet, config: Config) -> Detect:
    """Detection with `network`, where it lies and in the mode that it is in."""
    device = next(network.parameters()).device
    data, postprocess = config.data, config.models.head.postprocess

    @torch.inference_mode()
    def probability_map(picture: Image) -> np.ndarray:
        inputs = torch.from_numpy(normalise(picture, data.mean, data.std)).to(device)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        return network.probability_map(inputs)[0].float().cpu().numpy()

    def detect(image: Image) -> Detections:
        return detect_text(image, probability_map, data.resize, postprocess)

    return detect
