"""A sweep none of whose trials finds any text: it is ended, and no fold is trained of it."""

from collections.abc import Sequence

from detector.config.metrics import METRIC
from detector.console import say
from detector.errors import SweepError
from detector.sweep.protocol import Sweep
from detector.sweep.trial import Objective, TrialEnd, TrialHandle, TrialRecord
from detector.wording import counted

_ENOUGH_TRIALS = 5
_ENOUGH_EPOCHS = 15
"""Trained by all trials together: one or two each say nothing."""

_REMEDY = (
    "check the labels with `detsweep data check`, train once with `detsweep train` and a preset's "
    "own values, then begin a run in another store with a range of models.optimizer.lr around them"
)


def end_if_nothing_is_found(objective: Objective, sweep: Sweep) -> Objective:
    """`objective`, but the sweep is stopped after a trial where all have found no text so far.

    Trials that were begun go on.
    """
    if not _goes_by_text(sweep):
        return objective

    def train(trial: TrialHandle) -> TrialEnd:
        end = objective(trial)
        trials = sweep.trials()
        # The trial itself ends after this.
        ended = {t.number for t in trials if t.state in ("finished", "stopped")} | {trial.number}
        if len(ended) >= _ENOUGH_TRIALS and _find_nothing(trials):
            say(
                f"warning: none of {counted(len(ended), 'trial')} has found any text. The sweep is "
                "stopped: no trial is begun any more"
            )
            sweep.stop()
        return end

    return train


def refuse_if_nothing_is_found(sweep: Sweep, trials: Sequence[TrialRecord]) -> None:
    """Refuse to choose among trials that have found no text in many epochs.

    Raises:
        SweepError: they have not.
    """
    if _goes_by_text(sweep) and _find_nothing(trials):
        epochs = sum(trial.epoch for trial in trials)
        raise SweepError(
            f"none of {counted(len(trials), 'trial')} has found any text in "
            f"{counted(epochs, 'epoch')}, and folds of such a configuration would not either",
            where=f"sweep {sweep.id}",
            remedy=_REMEDY,
        )


def _goes_by_text(sweep: Sweep) -> bool:
    spec = sweep.spec
    return spec.trains_detector and (spec.metric.name, spec.metric.goal) == (METRIC, "maximize")


def _find_nothing(trials: Sequence[TrialRecord]) -> bool:
    values = [value for trial in trials for value in trial.curve.values()]
    enough = sum(trial.epoch for trial in trials) >= _ENOUGH_EPOCHS
    return bool(values) and enough and not any(values)
