"""How much each parameter mattered, by the trials of a sweep, and how sure that is.

PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255), as Optuna computes it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from detector.report.canvas import extent_of
from detector.report.tables import varied_parameters
from detector.search.hyperband import Goal
from detector.sweep.best import scored_trials
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import TrialRecord

FEWEST = 12
"""Of fewer trials a quarter, which the method compares with the rest, is two or none."""
_RESAMPLES = 40
_SEED = 20

_Row = tuple[dict[str, Any], float]
"""The parameters of a trial and its best value."""


@dataclass(frozen=True)
class Importance:
    """A parameter's share of what all matter, from 0 to 1.

    Attributes:
        low, high: where 90 % of the shares lie when the trials are drawn again with replacement.
    """

    parameter: str
    share: float
    low: float
    high: float


def parameter_importance(sweep: SweepOutcome) -> list[Importance]:
    """The share of each parameter that differs between trials; nothing for less than `FEWEST`
    trials with a score, or less than two such parameters."""
    scored, goal = scored_trials(sweep.trials), sweep.goal
    names = varied_parameters(scored)
    if len(scored) < FEWEST or len(names) < 2:
        return []
    space = {
        name: _distribution(name, [trial.params.get(name) for trial in scored], sweep)
        for name in names
    }
    rows = [_row(trial, goal, space) for trial in scored]
    rng = np.random.default_rng(_SEED)
    with _quiet_optuna():
        study = optuna.create_study(direction=goal)
        shares = _Sample(study, rows, space).shares()
        drawn = [_Sample(study, _again(rows, rng), space).shares() for _ in range(_RESAMPLES)]
    return [
        Importance(
            name, shares[name], *np.quantile([d[name] for d in drawn], [0.05, 0.95]).tolist()
        )
        for name in names
    ]


class _Sample(optuna.Study):
    """Trials as a study has them, without a storage, which copies and checks each: that took half a
    minute of 40 samples of 5,000."""

    def __init__(
        self, like: optuna.Study, rows: Sequence[_Row], space: dict[str, BaseDistribution]
    ):
        super().__init__(like.study_name, like._storage)
        self._space = space
        self._of_sample = [
            FrozenTrial(
                number=number,
                trial_id=number,
                state=TrialState.COMPLETE,
                value=value,
                params=params,
                distributions=space,
                datetime_start=None,
                datetime_complete=None,
                user_attrs={},
                system_attrs={},
                intermediate_values={},
            )
            for number, (params, value) in enumerate(rows)
        ]

    def get_trials(self, *_: object, **__: object) -> list[FrozenTrial]:
        return self._of_sample

    def shares(self) -> dict[str, float]:
        return optuna.importance.get_param_importances(
            self, evaluator=PedAnovaImportanceEvaluator(), params=list(self._space)
        )


def _row(trial: TrialRecord, goal: Goal, space: dict[str, BaseDistribution]) -> _Row:
    best = trial.best(goal)
    assert best is not None
    return {name: _value(trial.params.get(name), of) for name, of in space.items()}, best[1]


def _again(rows: Sequence[_Row], rng: np.random.Generator) -> list[_Row]:
    """As many, drawn from these with replacement."""
    return [rows[i] for i in rng.integers(len(rows), size=len(rows))]


def _distribution(name: str, values: Sequence[Any], sweep: SweepOutcome) -> BaseDistribution:
    """What the values could have been drawn from."""
    extent = extent_of(name, values, sweep)
    if extent.scale == "choice":
        return CategoricalDistribution(sorted({str(value) for value in values}))
    return FloatDistribution(min(values), max(values), log=extent.scale == "log")


def _value(value: object, distribution: BaseDistribution) -> object:
    return str(value) if isinstance(distribution, CategoricalDistribution) else value


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Optuna logs every study that it makes."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
