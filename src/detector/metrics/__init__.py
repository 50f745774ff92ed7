"""How good detections are: CLEval by characters, and plain IoU matching by boxes."""

from detector.metrics.cleval import (
    CLEvalCounts,
    CLEvalOptions,
    DatasetScore,
    evaluate_page,
    evaluate_pages,
)
from detector.metrics.iou import IoUCounts, evaluate_iou

__all__ = [
    "CLEvalCounts",
    "CLEvalOptions",
    "DatasetScore",
    "IoUCounts",
    "evaluate_iou",
    "evaluate_page",
    "evaluate_pages",
]
