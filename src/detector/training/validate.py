"""How well the network in training finds the text of pages that it does not train on."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from detector.config.schema import Config
from detector.data.images import read_image
from detector.data.page import Page
from detector.data.scaled import ScaledPages
from detector.detecting.inference import Image, ProbabilityMap, detect_resized, normalise
from detector.evaluation.cleval.counts import CLEvalCounts, DatasetScore
from detector.evaluation.cleval.evaluate import evaluate_page
from detector.evaluation.overlay import draw_overlay, encode_jpeg
from detector.model.dbnet import DBNet
from detector.pace import paced
from detector.training.group import everyones

_SHOWN = 4


class _ScoredPage(NamedTuple):
    counts: CLEvalCounts
    polygons: Sequence[NDArray[Any]]


class Validation:
    """Scores networks on the same pages, which it keeps at their scale.

    Args:
        pages: labelled, and not trained on.
        config: how the network takes a page, and how its maps become outlines.
        fabric: whose processes score a share of the pages each; None is this process alone.
    """

    def __init__(self, pages: Sequence[Page], config: Config, fabric: Fabric | None = None):
        self.pages = pages
        self._config = config
        self._fabric = fabric
        self._found: list[Sequence[NDArray[Any]]] = []
        self._scaled = ScaledPages(pages, config.data)

    def score(self, network: DBNet) -> DatasetScore:
        """CLEval of `network`, where it lies and in the mode that it is in.

        Raises:
            DataError: an image cannot be read, or has more than `data.max_pixels` pixels.
        """
        numbers = range(len(self.pages))
        if self._fabric is None:
            scored = self._score_pages(network, numbers)
        else:
            ours = numbers[self._fabric.global_rank :: self._fabric.world_size]
            shares = everyones(self._fabric, self._score_pages(network, ours))
            scored = {number: page for share in shares for number, page in share.items()}
        self._found = [scored[number].polygons for number in numbers[:_SHOWN]]
        return DatasetScore(tuple(scored[number].counts for number in numbers))

    def _score_pages(self, network: DBNet, numbers: Sequence[int]) -> dict[int, "_ScoredPage"]:
        postprocess = self._config.models.head.postprocess
        probability_map = self._probability_map(network)
        scored = {}
        for number in paced(numbers, "validating"):
            found = detect_resized(self._scaled[number], probability_map, postprocess)
            counts = evaluate_page(self.pages[number].boxes, found.polygons)
            scored[number] = _ScoredPage(counts, found.polygons)
        return scored

    def overlays(self) -> dict[str, bytes]:
        """JPEGs of the first pages, by name, with what the network that was scored last found.

        Raises:
            DataError: an image cannot be read.
        """
        return {
            page.name: encode_jpeg(
                draw_overlay(
                    read_image(page.image, self._config.data.max_pixels), polygons, page.boxes
                )
            )
            for page, polygons in zip(self.pages, self._found, strict=False)
        }

    def _probability_map(self, network: DBNet) -> ProbabilityMap:
        device = next(network.parameters()).device
        data = self._config.data

        @torch.inference_mode()
        def probability_map(picture: Image) -> NDArray[np.float32]:
            inputs = torch.from_numpy(normalise(picture, data.mean, data.std)).to(device)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            return network.probability_map(inputs)[0].float().cpu().numpy()

        return probability_map
