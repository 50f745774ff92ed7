"""Which trial is named, what settles a tie, and what the reasons say."""

from collections.abc import Callable

import numpy as np
import pytest

from detector.choosing.pages import PageScores
from detector.choosing.ranking import Contender, choose_trial
from detector.evaluation.cleval.counts import CLEvalCounts
from detector.sweepfile.space import off_centre
from detector.sweepfile.spec import parse_sweep


def pages(found: list[int], prefix: str = "fold 0") -> PageScores:
    """Pages of 100 characters. So many of these are found."""
    counts = [CLEvalCounts(gt_chars=100, det_chars=100, tp_chars=n) for n in found]
    return PageScores({f"{prefix} page {i}": c for i, c in enumerate(counts)}, {})


GOOD = [97, 95, 98, 96, 97, 95, 98, 96]
ALSO_GOOD = [95, 97, 96, 98, 95, 97, 97, 96]
POOR = [n - 10 for n in GOOD]


def contender(
    trial: int,
    found: list[int],
    seconds: float = 100,
    off_centre: float = 0.5,
    is_whole: bool = True,
) -> Contender:
    return Contender(trial, pages(found), seconds, off_centre, is_whole)


def test_a_clear_lead_is_taken_whatever_it_costs() -> None:
    choice = choose_trial([contender(0, POOR, seconds=1), contender(1, GOOD)])
    assert choice.trial == 1
    assert "Trial 1 is taken: its lead is more than noise." in choice.reasons
    assert [s.trial for s in choice.standings] == [1, 0]
    assert choice.standings[1].behind.value == pytest.approx(0.1)


def test_a_tie_goes_to_the_cheaper() -> None:
    choice = choose_trial([contender(0, GOOD, seconds=900), contender(1, ALSO_GOOD, seconds=300)])
    assert choice.standings[0].trial == 0
    assert choice.trial == 1
    assert "Trials 0 and 1 tie, and trial 1 is taken: its training is the cheapest (5 min)." in (
        choice.reasons
    )


def test_so_few_pages_that_nothing_can_be_known_are_said_with_what_would_help() -> None:
    said = (
        "They were compared on 8 pages only, which cannot show which is better: label at least 10 "
        "for each fold to know."
    )
    assert said in choose_trial([contender(0, GOOD), contender(1, ALSO_GOOD)]).reasons
    for enough in (
        [contender(0, GOOD * 2), contender(1, ALSO_GOOD * 2)],
        [contender(0, GOOD), contender(1, POOR)],
        [contender(0, GOOD)],
    ):
        assert not any("compared on" in reason for reason in choose_trial(enough).reasons)


def test_a_tie_of_equal_cost_goes_to_the_more_central() -> None:
    edge, middle = contender(0, GOOD, 100, 0.9), contender(1, ALSO_GOOD, 110, 0.1)
    choice = choose_trial([edge, middle])
    assert choice.trial == 1
    assert any("nearest to the middle" in reason for reason in choice.reasons)


def test_a_tie_goes_to_a_trial_that_was_trained_to_its_end() -> None:
    stopped, edge = contender(0, GOOD, off_centre=0.1, is_whole=False), contender(1, GOOD)
    choice = choose_trial([stopped, edge])
    assert choice.trial == 1
    assert any("and it alone was trained to its end" in reason for reason in choice.reasons)
    choice = choose_trial([stopped, edge, contender(2, ALSO_GOOD, off_centre=0.3)])
    assert choice.trial == 2
    assert any("of them trials 1 and 2 were trained to their end" in r for r in choice.reasons)
    cheaper = contender(0, GOOD, seconds=10, is_whole=False)
    assert choose_trial([cheaper, edge]).trial == 0


def test_a_poor_trial_is_not_taken_for_being_cheap() -> None:
    trials = [contender(0, GOOD), contender(1, ALSO_GOOD), contender(2, POOR, seconds=1)]
    assert choose_trial(trials).trial != 2


def test_three_at_most_compete() -> None:
    trials = [contender(n, GOOD, seconds=100 if n < 3 else 1) for n in range(5)]
    choice = choose_trial(trials)
    assert choice.trial < 3
    assert "The 3 best of these compete for being taken." in choice.reasons


def test_another_fold_settles_a_tie_within_the_budget() -> None:
    asked = []

    def rescore(trial: int, fold: int) -> PageScores:
        asked.append((trial, fold))
        return pages(POOR if trial == 1 else GOOD, f"fold {fold}")

    trials = [contender(0, GOOD), contender(1, ALSO_GOOD, seconds=1), contender(2, POOR)]
    choice = choose_trial(trials, budget=4, folds=[1, 2], rescore=rescore)
    assert sorted(asked) == [(0, 1), (1, 1)]
    assert choice.trial == 0
    assert any(reason.startswith("Trained again without fold 1") for reason in choice.reasons)


def test_the_budget_is_never_exceeded() -> None:
    asked = []

    def rescore(trial: int, fold: int) -> PageScores:
        asked.append((trial, fold))
        return pages(GOOD, f"fold {fold}")

    trials = [contender(n, GOOD) for n in range(3)]
    choice = choose_trial(trials, budget=5, folds=[1, 2], rescore=rescore)
    assert len(asked) == 3
    assert any("the budget has 2 left" in reason for reason in choice.reasons)


def test_the_gain_over_the_incumbent_is_told_with_its_interval() -> None:
    trials = [contender(0, POOR), contender(1, GOOD)]
    assert "(trial 0, 0.8650) the difference is +0.1000" in choose_trial(trials, 0).reasons[-1]
    assert "found none better" in choose_trial(trials, 1).reasons[-1]
    assert "the gain is unknown" in choose_trial(trials).reasons[-1]


def test_pages_of_one_group_tell_no_noise() -> None:
    one_shop = PageScores(pages(GOOD).counts, dict.fromkeys(pages(GOOD).counts, "shop"))
    choice = choose_trial([Contender(0, one_shop, 100, 0.5)])
    assert "pages of one group" in choice.reasons[0]


def test_one_trial_is_taken() -> None:
    choice = choose_trial([contender(4, GOOD)])
    assert choice.trial == 4
    assert "No other trial has a score." in choice.reasons


def test_equal_configurations_tie_and_two_points_are_found(
    draw_detectors: Callable[..., list[PageScores]],
) -> None:
    def lead_is_noise(rng: np.random.Generator, shares: list[float]) -> bool:
        drawn = draw_detectors(rng, 60, shares)
        choice = choose_trial([Contender(n, p, 100, 0.5) for n, p in enumerate(drawn)])
        return choice.standings[1].behind.contains_zero

    rng = np.random.default_rng(3)
    assert sum(lead_is_noise(rng, [0.95, 0.95]) for _ in range(100)) >= 90
    assert sum(not lead_is_noise(rng, [0.95, 0.97]) for _ in range(100)) >= 90


def test_the_middle_of_a_range_is_that_of_its_distribution() -> None:
    space = parse_sweep(
        """
        method: random
        metric: {name: val/hmean, goal: maximize}
        parameters:
          models.optimizer.lr: {distribution: log_uniform_values, min: 0.0001, max: 0.01}
          models.head.k: {min: 10.0, max: 30.0}
          models.encoder.model_name: {values: [resnet18, resnet34]}
          trainer.max_epochs: {value: 4}
        """,
        "sweep.yaml",
    ).parameters
    name = {"models.encoder.model_name": "resnet18"}
    assert off_centre({"models.optimizer.lr": 0.001, "models.head.k": 20.0, **name}, space) == (
        pytest.approx(0)
    )
    assert off_centre({"models.optimizer.lr": 0.01, "models.head.k": 20.0, **name}, space) == (
        pytest.approx(0.5)
    )
    assert off_centre(name, space) == 0
