"""How well the network in training finds the text of pages that it does not train on."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from detector.config import Config
from detector.data.page import Page
from detector.data.scaled import ScaledPages
from detector.inference import Image, ProbabilityMap, detect_resized, normalise
from detector.metrics.cleval import DatasetScore, evaluate_page
from detector.model.dbnet import DBNet


class Validation:
    """Scores networks on the same pages, which it keeps at their scale.

    Args:
        pages: labelled, and not trained on.
        config: how the network takes a page, and how its maps become outlines.
    """

    def __init__(self, pages: Sequence[Page], config: Config):
        self.pages = pages
        self._config = config
        self._scaled = ScaledPages(pages, config.data)

    def score(self, network: DBNet) -> DatasetScore:
        """CLEval of `network`, where it lies and in the mode that it is in.

        Raises:
            DataError: an image cannot be read, or has more than `data.max_pixels` pixels.
        """
        postprocess = self._config.models.head.postprocess
        probability_map = self._probability_map(network)
        counts = []
        for number, page in enumerate(self.pages):
            found = detect_resized(self._scaled[number], probability_map, postprocess)
            counts.append(evaluate_page(page.boxes, found.polygons))
        return DatasetScore(tuple(counts))

    def _probability_map(self, network: DBNet) -> ProbabilityMap:
        device = next(network.parameters()).device
        data = self._config.data

        @torch.inference_mode()
        def probability_map(picture: Image) -> NDArray[np.float32]:
            inputs = torch.from_numpy(normalise(picture, data.mean, data.std)).to(device)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            return network.probability_map(inputs)[0].float().cpu().numpy()

        return probability_map
