import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.sweep.opening import open_backend
from detector.sweep.protocol import Backend, Sweep
from detector.sweepfile.spec import SweepSpec, read_sweep
from tests.sweep.taking import take

EPOCHS = 10
FINISHED = HOPELESS = 5
"""The first trials finish, the next one is far behind them."""
FIRST_RUNG = 1


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return open_backend(f"journal:///{tmp_path}/sweeps", lease_seconds=30)


OWN = {"detsweep": {"stopping": "adaptive"}}


def spec(**keys: Any) -> SweepSpec:
    settings = {
        "method": "bayes",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}, "y": {"values": ["a", "b"]}},
        **keys,
    }
    return read_sweep(yaml.safe_dump(settings), "test")


def score(level: float, epoch: int) -> float:
    return level - 0.5 * math.exp(-epoch / 4)


def epochs_of_a_hopeless_trial(sweep: Sweep) -> int:
    """How far a trial comes that trails those before it, which were all good."""
    for _ in range(FINISHED):
        trial = take(sweep, "agent")
        for epoch in range(1, EPOCHS + 1):
            trial.report(epoch, score(0.9 - 0.1 * abs(float(str(trial.params["x"])) - 0.5), epoch))
        trial.finish()
    trial = take(sweep, "agent")
    for epoch in range(1, EPOCHS + 1):
        if not trial.report(epoch, score(0.1, epoch)):
            trial.stop()
            return epoch
    trial.finish()
    return EPOCHS


def test_bayes_without_early_terminate_ends_no_trial(backend: Backend) -> None:
    sweep = backend.create(spec(), max_epochs=EPOCHS)

    assert epochs_of_a_hopeless_trial(sweep) == EPOCHS


def test_a_file_may_ask_for_the_own_rule(backend: Backend) -> None:
    sweep = backend.create(spec(**OWN), max_epochs=EPOCHS)

    assert epochs_of_a_hopeless_trial(sweep) == FIRST_RUNG
    assert sweep.trials()[HOPELESS].state == "stopped"


def test_early_terminate_means_its_bands(backend: Backend) -> None:
    bands = {"type": "hyperband", "min_iter": 4}
    sweep = backend.create(spec(early_terminate=bands), max_epochs=EPOCHS)

    assert epochs_of_a_hopeless_trial(sweep) == 4


def test_adaptive_stopping_wins_over_the_file_where_it_is_asked_for(backend: Backend) -> None:
    bands = {"type": "hyperband", "min_iter": 4}
    sweep = backend.create(
        spec(early_terminate=bands, method="random"), stopping="adaptive", max_epochs=EPOCHS
    )

    assert epochs_of_a_hopeless_trial(sweep) == FIRST_RUNG


def test_random_without_early_terminate_ends_nothing(backend: Backend) -> None:
    sweep = backend.create(spec(method="random"), max_epochs=EPOCHS)

    assert epochs_of_a_hopeless_trial(sweep) == EPOCHS


def test_the_length_of_a_trial_is_learned_where_nobody_knows_it(backend: Backend) -> None:
    sweep = backend.create(spec(**OWN))

    assert epochs_of_a_hopeless_trial(sweep) == FIRST_RUNG


def test_the_file_knows_best_how_long_a_trial_is(backend: Backend) -> None:
    parameters = {"x": {"min": 0.0, "max": 1.0}, "trainer.max_epochs": {"value": 20}}
    sweep = backend.create(spec(parameters=parameters, **OWN), max_epochs=EPOCHS)

    assert epochs_of_a_hopeless_trial(sweep) == 2


def test_failed_trials_teach_nothing(backend: Backend) -> None:
    sweeps = [backend.create(spec(), max_epochs=EPOCHS) for _ in range(2)]
    for sweep in sweeps:
        epochs_of_a_hopeless_trial(sweep)
    failing = take(sweeps[0], "agent")
    failing.report(1, 0.99)
    failing.fail("out of memory")
    skipped = take(sweeps[1], "agent")
    skipped.fail("out of memory")

    suggested = [take(sweep, "agent").params for sweep in sweeps]

    assert suggested[0] == suggested[1]
