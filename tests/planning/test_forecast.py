"""How long a run that is under way will still take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.planning.forecast import AtWork, Progress, forecast


def progress(running: list[AtWork], **changes: object) -> Progress:
    fields: dict[str, object] = {
        "epoch_seconds": 10.0,
        "max_epochs": 8,
        "epochs_of_a_trial": 4.0,
        "at_once": 2,
        "running": running,
        "trials": 0,
        "trainings": 0.0,
        "ensemble_epochs": 0.0,
        "in_sweep": True,
    }
    return Progress(**{**fields, **changes})  # type: ignore[arg-type]  # of each field's own type


def test_a_trial_that_was_not_stopped_by_the_usual_epoch_goes_on_to_the_last() -> None:
    end = forecast(progress([AtWork("trial 0", 2), AtWork("trial 1", 5)]))
    assert [seconds for _, _, seconds in end.running] == [20, 30]


def test_a_trial_is_taken_by_the_agent_that_is_free_first() -> None:
    running = [AtWork("trial 0", 1), AtWork("trial 1", 3)]
    assert forecast(progress(running, trials=2)).sweep == 70


def test_after_the_sweep_whole_trainings_are_left() -> None:
    end = forecast(progress([AtWork("fold 1", 6)], trainings=2.5, in_sweep=False))
    assert (end.sweep, end.folds) == (0, 120)


def test_half_a_training_is_one_that_may_not_be_needed() -> None:
    assert forecast(progress([], trainings=0.5, at_once=1, in_sweep=False)).folds == 40


@given(
    epochs=st.lists(st.integers(0, 8), max_size=2),
    trials=st.integers(0, 9),
    trainings=st.floats(0, 6),
)
def test_the_end_is_never_before_the_work_that_is_left(
    epochs: list[int], trials: int, trainings: float
) -> None:
    running = [AtWork(f"trial {n}", epoch) for n, epoch in enumerate(epochs)]
    end = forecast(progress(running, trials=trials, trainings=trainings, ensemble_epochs=1.0))
    work = sum(seconds for _, _, seconds in end.running) + 40 * trials + 80 * trainings
    assert end.total >= work / 2 + 10 - 1e-6
    assert end.total == pytest.approx(end.sweep + end.folds + end.ensemble)
