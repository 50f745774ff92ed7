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
    rng = np.random.default_rng(_SEED)
    shares = _shares(scored, goal, space)
    drawn = [
        _shares([scored[i] for i in rng.integers(len(scored), size=len(scored))], goal, space)
        for _ in range(_RESAMPLES)
    ]
    return [
        Importance(
            name, shares[name], *np.quantile([d[name] for d in drawn], [0.05, 0.95]).tolist()
        )
        for name in names
    ]


def _shares(
    trials: Sequence[TrialRecord], goal: Goal, space: dict[str, BaseDistribution]
) -> dict[str, float]:
    with _quiet_optuna():
        study = optuna.create_study(direction=goal)
        for trial in trials:
            best = trial.best(goal)
            assert best is not None
            params = {name: _value(trial.params.get(name), of) for name, of in space.items()}
            study.add_trial(
                optuna.trial.create_trial(params=params, distributions=space, value=best[1])
            )
        return optuna.importance.get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(), params=list(space)
        )


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
