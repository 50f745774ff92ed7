"""How well a detector finds the text of labelled pages: CLEval, plain IoU and the time it takes."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from detector.data.images import read_image
from detector.data.page import Page
from detector.detecting.inference import Detect
from detector.evaluation.cleval.counts import DatasetScore
from detector.evaluation.cleval.evaluate import evaluate_page
from detector.evaluation.iou import evaluate_iou
from detector.evaluation.iou_counts import IoUCounts


@dataclass(frozen=True)
class Scores:
    """The scores of one detector on some pages.

    Attributes:
        cleval: character-level scores.
        iou_of_pages: matches of boxes on each page, by the least IoU of a match.
        ms_per_page: mean duration from pixels to outlines, without reading the file.
    """

    cleval: DatasetScore
    iou_of_pages: Mapping[float, Sequence[IoUCounts]]
    ms_per_page: float

    @property
    def iou(self) -> dict[float, IoUCounts]:
        """Matches of boxes on all pages together, by the least IoU of a match."""
        return {least: sum(pages, start=IoUCounts()) for least, pages in self.iou_of_pages.items()}


def score_pages(
    pages: Iterable[Page], detect: Detect, max_pixels: int, iou_thresholds: Sequence[float] = ()
) -> Scores:
    """Detect the text of each page and compare it with its boxes.

    Args:
        pages: labelled pages.
        detect: the detector.
        max_pixels: the most pixels that an image may have.
        iou_thresholds: where to count matches by IoU too, which takes several times as long as
            CLEval.

    Raises:
        DataError: an image cannot be read, or has more than `max_pixels` pixels.
    """
    counts = []
    iou: dict[float, list[IoUCounts]] = {threshold: [] for threshold in iou_thresholds}
    seconds = 0.0
    for page in pages:
        image = read_image(page.image, max_pixels)
        started = time.perf_counter()
        found = detect(image).polygons
        seconds += time.perf_counter() - started
        counts.append(evaluate_page(page.boxes, found))
        for threshold, of_pages in iou.items():
            of_pages.append(evaluate_iou(page.boxes, found, threshold))
    return Scores(DatasetScore(tuple(counts)), iou, 1000 * seconds / max(1, len(counts)))
