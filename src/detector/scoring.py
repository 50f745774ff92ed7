"""How well a detector finds the text of labelled pages: CLEval, plain IoU and the time it takes."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from detector.data.images import read_image
from detector.data.page import Page
from detector.inference import Detect
from detector.metrics.cleval import DatasetScore, evaluate_page
from detector.metrics.iou import IoUCounts, evaluate_iou


@dataclass(frozen=True)
class Scores:
    """The scores of one detector on some pages.

    Attributes:
        cleval: character-level scores.
        iou: matches at IoU >= 0.5.
        strict_iou: matches at IoU >= 0.7.
        ms_per_page: mean duration from pixels to outlines, without reading the file.
    """

    cleval: DatasetScore
    iou: IoUCounts
    strict_iou: IoUCounts
    ms_per_page: float


def score_pages(pages: Iterable[Page], detect: Detect, max_pixels: int) -> Scores:
    """Detect the text of each page and compare it with its boxes.

    Raises:
        DataError: an image cannot be read, or has more than `max_pixels` pixels.
    """
    counts, iou, strict_iou = [], IoUCounts(0, 0, 0), IoUCounts(0, 0, 0)
    seconds = 0.0
    for page in pages:
        image = read_image(page.image, max_pixels)
        started = time.perf_counter()
        found = detect(image).polygons
        seconds += time.perf_counter() - started
        counts.append(evaluate_page(page.boxes, found))
        iou += evaluate_iou(page.boxes, found, 0.5)
        strict_iou += evaluate_iou(page.boxes, found, 0.7)
    score = DatasetScore(tuple(counts))
    return Scores(score, iou, strict_iou, 1000 * seconds / max(1, len(counts)))
