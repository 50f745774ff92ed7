"""What is said of a score of 0.0, and when a training ends on it."""

import pytest

from detector.config.loading import load_config
from detector.errors import TrainingError
from detector.evaluation.cleval.counts import CLEvalCounts, DatasetScore
from detector.training.nothing_found import is_worth_a_word, likely_reason, refuse_to_go_on

CONFIG = load_config(["preset=quickstart", "models.optimizer.lr=0.004", "trainer.max_epochs=20"])


def test_a_model_that_finds_nothing_points_to_the_rate() -> None:
    said = likely_reason(DatasetScore((CLEvalCounts(gt_chars=9),) * 2), 1, CONFIG)
    assert "finds nothing on 2 validation pages" in said
    assert "models.optimizer.lr=0.004" in said


def test_a_model_that_finds_what_is_no_text_points_to_the_labels() -> None:
    counts = CLEvalCounts(gt_chars=9, det_chars=7, fp_chars=7)
    said = likely_reason(DatasetScore((counts,)), 4, CONFIG)
    assert "the labels do not fit" in said
    assert "detsweep data check" in said


def test_a_long_training_is_not_filled_with_warnings() -> None:
    assert [epoch for epoch in range(1, 21) if is_worth_a_word(epoch, 20)] == [1, 2, 4, 8, 16, 20]


def test_a_training_ends_once_half_of_it_has_found_nothing() -> None:
    refuse_to_go_on([0.0] * 9, 20)
    refuse_to_go_on([0.0] * 4, 4)
    refuse_to_go_on([0.0] * 9 + [0.01], 20)
    with pytest.raises(TrainingError, match="no text in 10 of 20 epochs") as ended:
        refuse_to_go_on([0.0] * 10, 20)
    assert "models.optimizer.lr" in str(ended.value.remedy)
