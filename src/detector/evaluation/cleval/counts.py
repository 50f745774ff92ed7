"""What CLEval counts, and the scores that follow from the counts. No geometry."""

from dataclasses import dataclass

from detector.evaluation.ratios import harmonic_mean, mean, share


@dataclass(frozen=True)
class CLEvalCounts:
    """What was counted on one page, or on several: counts add up.

    Attributes:
        gt_chars: characters of the cared-for ground truths.
        det_chars: characters in matched predictions, repeats included, plus `fp_chars`.
        tp_chars: characters found, each once.
        fp_chars: characters that unmatched predictions are charged.
        recall_penalty: granularity penalty of cut ground truths, in characters.
        precision_penalty: granularity penalty of merging predictions, in characters.
        repeated_chars: findings of a character beyond its first.
        split_boxes: ground truths that more than one prediction matches.
        merged_boxes: predictions that more than one ground truth matches.

    >>> two_pages = CLEvalCounts(gt_chars=8, det_chars=8, tp_chars=8) + CLEvalCounts(gt_chars=8)
    >>> two_pages.recall, two_pages.precision
    (0.5, 1.0)
    """

    gt_chars: int = 0
    det_chars: int = 0
    tp_chars: int = 0
    fp_chars: int = 0
    recall_penalty: float = 0.0
    precision_penalty: float = 0.0
    repeated_chars: int = 0
    split_boxes: int = 0
    merged_boxes: int = 0

    def __add__(self, other: "CLEvalCounts") -> "CLEvalCounts":
        return CLEvalCounts(
            **{name: count + getattr(other, name) for name, count in vars(self).items()}
        )

    @property
    def recall(self) -> float:
        """Share of the true characters that were found, less the penalty for cut words."""
        return share(self.tp_chars - self.recall_penalty, self.gt_chars)

    @property
    def precision(self) -> float:
        """Share of the predicted characters that are true, less the penalty for merged words."""
        return share(self.tp_chars - self.precision_penalty, self.det_chars)

    @property
    def hmean(self) -> float:
        """Harmonic mean of recall and precision."""
        return harmonic_mean(self.recall, self.precision)


@dataclass(frozen=True)
class DatasetScore:
    """The score of a data set.

    `recall`, `precision` and `hmean` are micro scores: counts summed, then the formulas, as CLEval
    defines. `hmean_pages` is the mean of the pages' own H-Means (macro), which others report.

    Attributes:
        pages: the counts of each page, in the order given.
    """

    pages: tuple[CLEvalCounts, ...]

    @property
    def counts(self) -> CLEvalCounts:
        """The pages' counts, summed."""
        return sum(self.pages, start=CLEvalCounts())

    @property
    def recall(self) -> float:
        """Micro recall."""
        return self.counts.recall

    @property
    def precision(self) -> float:
        """Micro precision."""
        return self.counts.precision

    @property
    def hmean(self) -> float:
        """Micro H-Mean."""
        return self.counts.hmean

    @property
    def hmean_pages(self) -> float:
        """Mean of the pages' H-Means; 0 without pages."""
        return mean([page.hmean for page in self.pages])
