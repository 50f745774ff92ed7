import shlex
from typing import Any

import pytest

from detector.config.loading import load_config
from detector.search.hyperband import Goal
from detector.sweep.best import best_trial, override_line
from detector.sweep.trial import TrialRecord, TrialState


def trial(number: int, curve: dict[int, float], state: TrialState = "finished") -> TrialRecord:
    return TrialRecord(number, {}, state, curve)


def best_number(trials: list[TrialRecord], goal: Goal) -> int | None:
    best = best_trial(trials, goal)
    return best.number if best else None


def test_a_trial_counts_by_the_best_epoch_of_its_curve() -> None:
    trials = [trial(0, {1: 0.5, 2: 0.6}), trial(1, {1: 0.9, 2: 0.1})]
    assert best_number(trials, "maximize") == 1
    assert best_number(trials, "minimize") == 1
    assert trials[0].best("minimize") == (1, 0.5)
    assert best_number(trials[:1], "minimize") == 0


def test_the_earliest_of_equals_wins() -> None:
    assert best_number([trial(3, {1: 0.5}), trial(2, {1: 0.5})], "maximize") == 2
    assert trial(0, {4: 0.5, 2: 0.5}).best("maximize") == (2, 0.5)


def test_a_stopped_trial_counts_but_none_that_has_not_ended_or_has_failed() -> None:
    trials = [
        trial(0, {1: 0.3}),
        trial(1, {1: 0.4}, "stopped"),
        trial(2, {1: 0.9}, "running"),
        trial(3, {1: 0.9}, "waiting"),
        trial(4, {1: 0.9}, "failed"),
        trial(5, {}),
    ]
    assert best_number(trials, "maximize") == 1
    assert best_trial(trials[2:], "maximize") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("models.optimizer.lr", 1e-05),
        ("trainer.max_epochs", 7),
        ("models.head.postprocess.use_polygon", True),
        ("models.head.postprocess.max_candidates", None),
        ("models.encoder.model_name", "a b'c"),
        ("models.encoder.model_name", "true"),
        ("data.path", "set #1"),
        ("models.init", None),
        ("data.augment.scale", [0.5, 2.0]),
    ],
)
def test_the_line_of_overrides_means_the_same_when_it_is_pasted(key: str, value: Any) -> None:
    config = load_config(shlex.split(override_line({key: value})))
    read_back: Any = config.to_dict()
    for part in key.split("."):
        read_back = read_back[part]
    assert read_back == value
