"""The gate: noise does not open it, in either direction."""

import json

import pytest

from detector.choosing.bootstrap import Interval
from detector.choosing.pages import PageScores
from detector.choosing.promotion import Promotion, judge, judge_number
from detector.evaluation.cleval.counts import CLEvalCounts


def pages(found: list[int]) -> PageScores:
    counts = [CLEvalCounts(gt_chars=100, det_chars=100, tp_chars=n) for n in found]
    return PageScores({f"page {i}": c for i, c in enumerate(counts)}, {})


GOOD = pages([97, 95, 98, 96, 97, 95])
ALSO_GOOD = pages([95, 97, 96, 98, 95, 96])
POOR = pages([90, 91, 90, 89, 92, 88])


@pytest.mark.parametrize(
    ("model", "baseline", "verdict"),
    [
        (GOOD, POOR, "promoted"),
        (POOR, GOOD, "worse"),
        (GOOD, ALSO_GOOD, "within noise"),
        (GOOD, GOOD, "within noise"),
    ],
)
def test_the_verdict_is_that_of_the_interval(
    model: PageScores, baseline: PageScores, verdict: str
) -> None:
    assert judge(model, baseline, "base.onnx").verdict == verdict


@pytest.mark.parametrize(
    ("number", "verdict"), [(0.9, "promoted"), (0.96, "within noise"), (0.99, "worse")]
)
def test_a_number_is_a_baseline_too(number: float, verdict: str) -> None:
    assert judge_number(GOOD, number).verdict == verdict


def test_the_sentence_has_the_verdict_both_scores_and_the_interval() -> None:
    sentence = judge(GOOD, POOR, "base.onnx").sentence()
    assert sentence.startswith("promoted: H-Mean 0.9633 against 0.9000, a difference of +0.0633 (")
    assert sentence.endswith("with 95 % confidence, 6 pages)")


def test_plain_values_name_the_verdict_beside_its_figures() -> None:
    promotion = judge(GOOD, POOR, "base.onnx")
    tree = json.loads(json.dumps(promotion.to_dict()))
    assert tree.pop("verdict") == "promoted"
    assert Promotion(**{**tree, "gain": Interval(**tree["gain"])}) == promotion
