"""What matching by IoU counts; `detector.evaluation.iou` does the counting."""

from dataclasses import dataclass

from detector.evaluation.ratios import harmonic_mean, share


@dataclass(frozen=True)
class IoUCounts:
    """Boxes counted on one page, or on several: counts add up.

    Attributes:
        truths: cared-for ground truths.
        predictions: predictions that were not dropped.
        matched: pairs of one ground truth and one prediction.

    >>> (IoUCounts(truths=2, predictions=1, matched=1) + IoUCounts(truths=2)).recall
    0.25
    """

    truths: int = 0
    predictions: int = 0
    matched: int = 0

    def __add__(self, other: "IoUCounts") -> "IoUCounts":
        return IoUCounts(
            self.truths + other.truths,
            self.predictions + other.predictions,
            self.matched + other.matched,
        )

    @property
    def recall(self) -> float:
        """Matched share of the ground truths; 0 without any."""
        return share(self.matched, self.truths)

    @property
    def precision(self) -> float:
        """Matched share of the predictions; 0 without any."""
        return share(self.matched, self.predictions)

    @property
    def hmean(self) -> float:
        """Harmonic mean of recall and precision."""
        return harmonic_mean(self.recall, self.precision)
