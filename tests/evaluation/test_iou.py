"""Plain IoU matching, one prediction to one ground truth."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.data.page import TextBox
from detector.errors import DataError
from detector.evaluation.iou import evaluate_iou
from detector.evaluation.iou_counts import IoUCounts
from tests.shapes import rectangle


def test_match_needs_the_threshold() -> None:
    truth = [TextBox(rectangle(0, 0, 10, 10))]
    half = rectangle(0, 0, 5, 10)
    assert evaluate_iou(truth, [half], threshold=0.5).matched == 1
    assert evaluate_iou(truth, [half], threshold=0.51).matched == 0


def test_each_ground_truth_matches_once_and_the_rest_costs_precision() -> None:
    word = rectangle(0, 0, 40, 10)
    assert evaluate_iou([TextBox(word)], [word, word + 1]) == IoUCounts(1, 2, 1)


def test_better_pair_is_taken_before_the_earlier_one() -> None:
    left, right = rectangle(0, 0, 10, 10), rectangle(4, 0, 10, 10)
    # `between` could take either; `left` itself leaves it only the right one.
    between = rectangle(2, 0, 10, 10)
    counts = evaluate_iou([TextBox(left), TextBox(right)], [between, left])
    assert counts == IoUCounts(truths=2, predictions=2, matched=2)


def test_prediction_mostly_on_a_dont_care_is_dropped() -> None:
    dont_care = TextBox(rectangle(0, 0, 100, 10), "###", ignore=True)
    on_it, half_on_it = rectangle(0, 0, 20, 10), rectangle(0, 5, 20, 10)
    assert evaluate_iou([dont_care], [on_it, half_on_it]) == IoUCounts(0, 1, 0)


def test_empty_pages_score_zero_without_failing() -> None:
    counts = evaluate_iou([], [])
    assert (counts.recall, counts.precision, counts.hmean) == (0.0, 0.0, 0.0)


def test_degenerate_prediction_matches_nothing() -> None:
    point = np.full((4, 2), 5.0)
    assert evaluate_iou([TextBox(rectangle(0, 0, 9, 9))], [point]) == IoUCounts(1, 1, 0)


def test_outline_with_too_few_points_is_named() -> None:
    with pytest.raises(DataError, match="prediction 0"):
        evaluate_iou([], [np.zeros((2, 2))])


def test_counts_add_up_to_micro_scores() -> None:
    total = IoUCounts(4, 2, 2) + IoUCounts(0, 2, 0)
    assert (total.recall, total.precision) == (0.5, 0.5)
    assert total.hmean == 0.5


boxes = st.builds(rectangle, *[st.integers(0, 60)] * 2, *[st.integers(1, 40)] * 2)


@given(st.lists(boxes, max_size=6), st.lists(boxes, max_size=6), st.randoms())
def test_order_does_not_matter_for_the_perfect_match(
    truth: list[NDArray[Any]], predictions: list[NDArray[Any]], random: Random
) -> None:
    boxes_in_order = [TextBox(points) for points in truth]
    counts = evaluate_iou(boxes_in_order, truth)
    assert counts.matched == counts.truths == counts.predictions
    other = evaluate_iou(boxes_in_order, predictions)
    assert other.matched <= min(other.truths, other.predictions)
    shuffled = random.sample(truth, len(truth))
    assert evaluate_iou(boxes_in_order, shuffled).matched == counts.matched
