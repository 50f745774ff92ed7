"""Trials read by columns are those that Optuna reads."""

from collections.abc import Container
from math import inf, nan
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from detector.sweep.backends.rows import Database
from detector.sweep.backends.storages import open_storage

SPACE = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "depth": IntDistribution(1, 9, step=2),
    "name": CategoricalDistribution(["a", None, 3]),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('rows') / 'sweep.db'}"
    study = optuna.create_study(storage=RDBStorage(url), study_name="read", directions=["maximize"])
    params = {"lr": 1e-3, "depth": 5, "name": None}
    study.add_trials(
        optuna.trial.create_trial(
            state=state,
            value=value,
            params=params if state != TrialState.WAITING else {},
            distributions=SPACE if state != TrialState.WAITING else {},
            user_attrs={"held": {"by": "a ü", "at": [1, None]}, "empty": ""},
            system_attrs={"fixed_params": {"lr": 0.1}},
            intermediate_values=curve,
        )
        for state, value, curve in [
            (TrialState.COMPLETE, 0.5, {1: 0.25, 2: 0.5}),
            (TrialState.COMPLETE, inf, {1: inf, 3: -inf}),
            (TrialState.FAIL, None, {}),
            (TrialState.WAITING, None, {}),
            (TrialState.PRUNED, -inf, {7: 0.0}),
            (TrialState.COMPLETE, 1e-300, {1: 1e300}),
        ]
    )
    study.ask(SPACE).report(0.75, 1)
    optuna.create_study(storage=RDBStorage(url), study_name="other").ask(SPACE)
    return url


@pytest.mark.parametrize("states", [None, (TrialState.COMPLETE, TrialState.WAITING)])
@pytest.mark.parametrize("included, behind", [(set(), -1), ({2, 4}, 5), (set(), 3), ({2}, 99)])
def test_they_are_those_that_optuna_reads(
    url: str, states: Container[TrialState] | None, included: set[int], behind: int
) -> None:
    by_columns = Database(url)._get_trials(1, states, included, behind)
    assert by_columns == RDBStorage(url)._get_trials(1, states, included, behind)
    assert by_columns or behind > 5


def test_a_value_that_is_no_number_stays_one(url: str) -> None:
    storage = Database(url)
    storage.set_trial_intermediate_value(storage.create_new_trial(2), 1, nan)
    assert str(storage.get_all_trials(2)[-1].intermediate_values) == "{1: nan}"


def test_a_study_that_is_not_there_is_an_error(url: str) -> None:
    with pytest.raises(KeyError):
        Database(url).get_all_trials(99)


def test_a_backend_in_a_file_reads_so(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'sweep.db'}")
    assert isinstance(vars(storage)["_backend"], Database)
