"""The expected values were put out by W&B's engine, `sweeps` 0.3.0."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.search.hyperband import Goal, Hyperband, finite_values


@pytest.mark.parametrize(
    ("rule", "bands"),
    [
        (Hyperband(min_iter=5), [5, 15, 45, 135, 405, 1215]),
        (Hyperband(min_iter=5, eta=2), [5, 10, 20, 40, 80, 160]),
        (Hyperband(min_iter=3), [3, 9, 27, 81, 243, 729]),
        (Hyperband(min_iter=5, eta=1.1), [5, 5, 6, 6, 7, 8]),
    ],
)
def test_bands_rise_from_min_iter(rule: Hyperband, bands: list[int]) -> None:
    assert rule.bands()[:6] == bands


@pytest.mark.parametrize(
    ("rule", "bands"),
    [
        (Hyperband(max_iter=20, s=2), [2, 6]),
        (Hyperband(max_iter=27, s=2), [3, 9]),
        (Hyperband(max_iter=20, s=3, eta=2), [2, 5, 10]),
        (Hyperband(max_iter=20, s=9), [2, 6]),
        (Hyperband(max_iter=2, s=1), []),
        (Hyperband(min_iter=5, max_iter=20, s=2), [2, 6]),
    ],
)
def test_bands_fall_from_max_iter_which_wins_over_min_iter(
    rule: Hyperband, bands: list[int]
) -> None:
    assert rule.bands() == bands


@pytest.mark.parametrize(
    ("trials", "survivors"),
    [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (8, 3), (9, 4), (12, 5)],
)
def test_a_third_and_one_survive_a_band(trials: int, survivors: int) -> None:
    histories = [[float(loss)] for loss in range(trials)]
    rule = Hyperband(min_iter=1)
    stopped = [rule.should_stop(h, histories, "minimize") for h in histories]
    assert stopped.count(False) == survivors
    assert stopped == sorted(stopped), "the worse ones are stopped"


def test_no_trial_is_stopped_before_the_first_band() -> None:
    histories = [[0.9] * 5, [0.1] * 4]
    assert not Hyperband(min_iter=5).should_stop(histories[1], histories, "maximize")


def test_a_tie_with_the_threshold_goes_on() -> None:
    histories = [[0.5], [0.5], [0.5]]
    assert not Hyperband(min_iter=1).should_stop([0.5], histories, "maximize")


def test_a_trial_that_passed_a_band_is_stopped_there_later_when_better_ones_came() -> None:
    rule = Hyperband(min_iter=2)
    early, better = [0.1, 0.5, 0.9], [0.1, 0.8]
    assert not rule.should_stop(early, [early], "maximize")
    assert rule.should_stop(early, [early, better], "maximize")


def test_strict_judges_the_value_at_the_band_and_not_strict_the_best_so_far() -> None:
    spike = [0.9, 0.2]
    histories = [spike, [0.1, 0.6]]
    assert Hyperband(min_iter=2).should_stop(spike, histories, "maximize")
    assert not Hyperband(min_iter=2, strict=False).should_stop(spike, histories, "maximize")


def test_only_the_last_band_passed_decides() -> None:
    fell_behind_at_the_first = [0.1, 0.1, 0.9]
    histories = [fell_behind_at_the_first, [0.9, 0.9, 0.8], [0.8, 0.8, 0.7]]
    rule = Hyperband(min_iter=1)
    assert rule.bands()[:2] == [1, 3]
    assert not rule.should_stop(fell_behind_at_the_first, histories, "maximize")


def test_epochs_without_a_finite_metric_are_no_iterations() -> None:
    assert finite_values({3: 0.2, 1: float("nan"), 2: 0.1, 4: float("inf")}) == [0.1, 0.2]


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=12), min_size=1, max_size=12),
    st.sampled_from(["minimize", "maximize"]),
)
def test_the_best_at_a_band_is_never_stopped(histories: list[list[float]], goal: Goal) -> None:
    rule = Hyperband(min_iter=2)
    sign = -1 if goal == "maximize" else 1
    for history in histories:
        band = max((b for b in rule.bands() if b <= len(history)), default=None)
        rivals = [h[band - 1] for h in histories if band and len(h) >= band]
        if band and sign * history[band - 1] == min(sign * value for value in rivals):
            assert not rule.should_stop(history, histories, goal)
