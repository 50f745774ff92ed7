"""A sweep whose trials find no text ends, and nothing is chosen of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from detector.errors import SweepError
from detector.steps.nothing_found import end_if_nothing_is_found, refuse_if_nothing_is_found
from detector.sweep.agent import run_agent
from detector.sweep.opening import open_backend
from detector.sweep.protocol import Sweep
from detector.sweep.trial import TrialEnd, TrialHandle
from detector.sweepfile.spec import parse_sweep
from tests.tiny_run import SWEEP


def swept(folder: Path, score: Callable[[int], float], epochs: int) -> Sweep:
    """A sweep of at most 20 trials. Each has the score that its number says."""
    spec = parse_sweep(SWEEP.replace("run_cap: 2", "run_cap: 20"), "sweep.yaml")
    sweep = open_backend(f"sqlite:///{folder}/sweep.db").create(spec)

    def objective(trial: TrialHandle) -> TrialEnd:
        for epoch in range(1, epochs + 1):
            trial.report(epoch, {"val/hmean": score(trial.number)})
        return "finished"

    run_agent(sweep, end_if_nothing_is_found(objective, sweep), agent="a")
    return sweep


def test_a_sweep_that_finds_nothing_ends_after_five_trials(tmp_path: Path) -> None:
    sweep = swept(tmp_path, lambda _: 0.0, epochs=4)
    trials = sweep.trials()
    assert len(trials) == 5
    with pytest.raises(SweepError, match="none of 5 trials has found any text in 20 epochs"):
        refuse_if_nothing_is_found(sweep, trials)


def test_one_trial_that_finds_something_keeps_the_sweep_going(tmp_path: Path) -> None:
    sweep = swept(tmp_path, lambda number: 0.01 * (number == 2), epochs=4)
    assert len(sweep.trials()) == 20
    refuse_if_nothing_is_found(sweep, sweep.trials())


def test_a_few_epochs_say_nothing(tmp_path: Path) -> None:
    sweep = swept(tmp_path, lambda _: 0.0, epochs=1)
    assert len(sweep.trials()) == 15, "by then 15 epochs were trained"
    refuse_if_nothing_is_found(sweep, sweep.trials()[:14])
