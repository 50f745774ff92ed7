"""The first line of a run's summary: the model beside a detector of others."""

import pytest

from detector.choosing.bootstrap import Interval
from detector.choosing.promotion import Promotion
from detector.ensemble.outcome import ModelChoice
from detector.evaluation.score_row import ScoreRow

BETTER, SAME, WORSE = (
    Interval(0.02, 0.01, 0.03),
    Interval(0.001, -0.01, 0.01),
    Interval(-0.02, -0.03, -0.01),
)


def choice(gain: Interval, outlines: Interval, iou: tuple[float, float]) -> ModelChoice:
    rows = [
        ScoreRow(name, 9, 0.9, 0.9, 0.9, 0.9, iou_hmean, 50.0)
        for name, iou_hmean in zip(("fold 1", "public"), iou, strict=True)
    ]
    public = Promotion("public", 9, 0.9, 0.9, gain, outlines)
    return ModelChoice(rows, "fold 1", "", "", Interval(0.9, 0.8, 1.0), public)


@pytest.mark.parametrize(
    ("gain", "outlines", "iou", "said", "is_worse"),
    [
        (SAME, WORSE, (0.82, 0.95), "As good as public by CLEval, within noise, but its outlines "
         "fit worse: H-Mean", True),
        (BETTER, WORSE, (0.82, 0.95), "Better than public, but its outlines fit worse: ", True),
        (SAME, SAME, (0.82, 0.95), "As good as public by CLEval, within noise, but its outlines "
         "may fit worse: ", False),
        (SAME, SAME, (0.95, 0.95), "As good as public by CLEval, within noise: ", False),
        (BETTER, BETTER, (0.95, 0.90), "Better than public: ", False),
        (WORSE, WORSE, (0.82, 0.95), "Worse than public: ", True),
    ],
)  # fmt: skip
def test_what_is_as_good_by_cleval_is_not_called_so_where_its_outlines_fit_worse(
    gain: Interval, outlines: Interval, iou: tuple[float, float], said: str, is_worse: bool
) -> None:
    beside = choice(gain, outlines, iou)
    assert beside.beside_public.startswith(said)
    assert beside.is_worse_than_public == is_worse
    assert f"IoU H-Mean {iou[0]:.4f} against {iou[1]:.4f}" in beside.beside_public
