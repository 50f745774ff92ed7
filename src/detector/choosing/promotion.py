"""Whether a new model takes the place of the one in use: a gate that noise does not open."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from detector.choosing.bootstrap import Interval, difference, score
from detector.choosing.pages import PageScores
from detector.wording import counted

Verdict = Literal["promoted", "within noise", "worse"]


@dataclass(frozen=True)
class Promotion:
    """The comparison with a baseline.

    Attributes:
        baseline: a file's path or URL, or a number.
        pages: how many both were measured on.
        model_hmean, baseline_hmean: micro H-Means.
        gain: the model's H-Mean less the baseline's.
        outlines: the same of the H-Means by IoU; None where it was not compared.
    """

    baseline: str
    pages: int
    model_hmean: float
    baseline_hmean: float
    gain: Interval
    outlines: Interval | None = None

    @property
    def fits_worse(self) -> bool:
        """Whether the model's outlines fit worse than the baseline's by more than noise. CLEval,
        which says what was found, barely counts how tightly."""
        return self.outlines is not None and self.outlines.high < 0

    @property
    def verdict(self) -> Verdict:
        """ "promoted" if the whole interval of the gain lies above 0, "worse" if it lies below."""
        if self.gain.contains_zero:
            return "within noise"
        return "promoted" if self.gain.low > 0 else "worse"

    def sentence(self) -> str:
        """The verdict with its figures, for a person."""
        gain = self.gain
        return (
            f"{self.verdict}: H-Mean {self.model_hmean:.4f} against {self.baseline_hmean:.4f}, a "
            f"difference of {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f} with 95 % "
            f"confidence, {counted(self.pages, 'page')})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the verdict included."""
        return {**asdict(self), "verdict": self.verdict}


def judge(model: PageScores, baseline: PageScores, name: str) -> Promotion:
    """Compare two detectors on the same pages, in pairs.

    Raises:
        DataError: they were not measured on the same pages.
    """
    hmeans = model.total.hmean, baseline.total.hmean
    return Promotion(name, len(model), *hmeans, difference(model, baseline))


def judge_number(model: PageScores, baseline: float) -> Promotion:
    """Compare a detector with a score that somebody reports: no pairs, so a wider interval."""
    own = score(model)
    gain = Interval(own.value - baseline, own.low - baseline, own.high - baseline)
    return Promotion(f"{baseline}", len(model), own.value, baseline, gain)
