import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.search.curves import State, Trial, curves

VALUES = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=6)


def trials(*histories: list[float], state: State = "stopped") -> list[Trial]:
    return [
        Trial(number, {}, dict(enumerate(values, 1)), state)
        for number, values in enumerate(histories)
    ]


def test_a_curve_counts_by_its_best_value_so_far() -> None:
    seen = curves(trials([0.1, 0.3, 0.2]), "maximize", horizon=4)

    assert seen.best[0, :3].tolist() == [0.1, 0.3, 0.3]
    assert np.isnan(seen.best[0, 3])


def test_epochs_without_a_value_stay_unknown() -> None:
    seen = curves([Trial(0, {}, {2: 0.5, 4: 0.6}, "running")], "maximize", horizon=4)

    assert np.isfinite(seen.best[0]).tolist() == [False, True, False, True]


def test_a_trial_without_values_is_left_out() -> None:
    assert curves(trials([], [0.5]), "maximize", horizon=4).trials[0].number == 1


def test_what_is_minimised_is_turned_round() -> None:
    losses = curves(trials([0.9, 0.5], [0.7, 0.6]), "minimize", horizon=2)
    scores = curves(trials([-0.9, -0.5], [-0.7, -0.6]), "maximize", horizon=2)

    assert losses.deficits() == pytest.approx(scores.deficits())


def test_a_trial_that_finished_before_the_others_has_reached_its_level() -> None:
    seen = curves(trials([0.1, 0.6, 0.4], state="finished"), "maximize", horizon=6)

    assert seen.best[0, 5] == 0.6


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_deficits_rank_values_as_the_metric_does(histories: list[list[float]]) -> None:
    seen = curves(trials(*histories), "maximize", horizon=6)

    deficits = seen.deficits()[seen.known]
    order = np.argsort(seen.best[seen.known], kind="stable")

    assert np.isfinite(deficits).all()
    assert (np.diff(deficits[order]) >= -1e-9).all()


def test_deficits_tell_good_trials_apart_as_well_as_early_epochs() -> None:
    seen = curves(
        trials([0.3, 0.950], [0.5, 0.960], [0.4, 0.955], [0.2, 0.7]), "maximize", horizon=2
    )

    deficits = seen.deficits()

    gap_of_the_good = deficits[1, 1] - deficits[2, 1]
    gap_at_the_start = deficits[1, 0] - deficits[2, 0]
    assert gap_of_the_good > gap_at_the_start


STEADY = ([0.3, 0.5, 0.6, 0.7], [0.35, 0.5, 0.7, 0.8], [0.4, 0.6, 0.7, 0.75])


def test_a_curve_is_cut_off_where_it_collapses() -> None:
    seen = curves(trials(*STEADY, [0.4, 0.7, 0.0, 0.0]), "maximize", horizon=5)

    assert seen.collapsed.tolist() == [False, False, False, True]
    assert np.isfinite(seen.best[3]).tolist() == [True, True, False, False, False]


def test_one_bad_epoch_is_no_collapse() -> None:
    seen = curves(trials(*STEADY, [0.4, 0.7, 0.0, 0.72], [0.4, 0.7, 0.0]), "maximize", horizon=5)

    assert not seen.collapsed.any()


def test_curves_that_begin_at_nothing_do_not_collapse() -> None:
    slow = [0.0, 0.0, 0.0, 0.0]

    assert not curves(trials(*STEADY, slow), "maximize", horizon=5).collapsed.any()
