"""The best trial of a sweep, and its parameters in the forms that people paste."""

import json
import shlex
from collections.abc import Mapping, Sequence

import yaml

from detector.config.keys import text_keys
from detector.search.hyperband import Goal
from detector.sweep.trial import TrialRecord


def scored_trials(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that a sweep may be judged by.

    A stopped trial counts as a finished one does. Trials that run or wait do not, nor those that
    failed, whatever they reached: nobody vouches for their checkpoint.
    """
    return [trial for trial in trials if trial.state in {"finished", "stopped"} and trial.curve]


def best_trial(trials: Sequence[TrialRecord], goal: Goal) -> TrialRecord | None:
    """Of `scored_trials` the one whose curve reached the best value; of equals the earliest."""
    sign = 1 if goal == "minimize" else -1
    scored = [
        (sign * best[1], trial.number, trial)
        for trial in scored_trials(trials)
        if (best := trial.best(goal)) is not None
    ]
    return min(scored)[2] if scored else None


def override_words(params: Mapping[str, object]) -> list[str]:
    """Parameters as `key=value` words that `load_config` reads back.

    >>> override_words({"models.optimizer.lr": 3e-4, "models.encoder.model_name": "resnet18"})
    ['models.optimizer.lr=0.0003', 'models.encoder.model_name=resnet18']
    """
    return [f"{key}={_as_typed(key, value)}" for key, value in params.items()]


def override_line(params: Mapping[str, object]) -> str:
    """`override_words` as one line for a shell."""
    return shlex.join(override_words(params))


def _as_typed(key: str, value: object) -> str:
    if isinstance(value, str) and (key in text_keys() or yaml.safe_load(value) == value):
        return value
    return json.dumps(value)
