"""How long a run will still take, from the epochs that it has trained so far. Arithmetic alone.

`estimate` says beforehand what a run takes; here it is under way.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class AtWork:
    """What is being trained.

    Attributes:
        name: for people.
        epoch: the last that it finished.
    """

    name: str
    epoch: int


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        epoch_seconds: of one epoch.
        max_epochs: of a training that nothing stops.
        epochs_of_a_trial: that a trial is trained for in the mean, those stopped early included.
        at_once: how many are trained side by side.
        running: what is being trained.
        trials: how many have not begun.
        trainings: how many whole trainings come after the sweep and have not begun: rescorings and
            folds.
        ensemble_epochs: what the last step takes, in epochs.
        in_sweep: whether what is running are trials.
    """

    epoch_seconds: float
    max_epochs: int
    epochs_of_a_trial: float
    at_once: int
    running: Sequence[AtWork]
    trials: int
    trainings: float
    ensemble_epochs: float
    in_sweep: bool


@dataclass(frozen=True)
class Forecast:
    """Seconds until each part has ended, from the end of the one before.

    Attributes:
        running: for each training at work its name, its last epoch, and the seconds to its end.
    """

    sweep: float
    folds: float
    ensemble: float
    max_epochs: int
    running: Sequence[tuple[str, int, float]]

    @property
    def total(self) -> float:
        """Seconds to the end of the run."""
        return self.sweep + self.folds + self.ensemble


def forecast(progress: Progress) -> Forecast:
    """When each part of a run will have ended.

    >>> at_work = [AtWork("trial 0", epoch=1), AtWork("trial 1", epoch=3)]
    >>> end = forecast(Progress(10, 4, 4, 2, at_work, 1, 2, 1.5, in_sweep=True))
    >>> end.running, end.sweep, end.folds, end.ensemble
    ((('trial 0', 1, 30.0), ('trial 1', 3, 10.0)), 50.0, 40.0, 15.0)
    """
    left = [_epochs_left(training, progress) for training in progress.running]
    to_come = [progress.epochs_of_a_trial] * progress.trials
    whole, part = divmod(progress.trainings, 1)
    trainings = [float(progress.max_epochs)] * int(whole)
    trainings += [part * progress.max_epochs] * (part > 0)
    if progress.in_sweep:
        sweep, folds = _end(left, to_come, progress.at_once), _end([], trainings, progress.at_once)
    else:
        sweep, folds = 0.0, _end(left, trainings, progress.at_once)
    second = progress.epoch_seconds
    return Forecast(
        sweep=sweep * second,
        folds=folds * second,
        ensemble=progress.ensemble_epochs * second,
        max_epochs=progress.max_epochs,
        running=tuple(
            (training.name, training.epoch, epochs * second)
            for training, epochs in zip(progress.running, left, strict=True)
        ),
    )


def _epochs_left(training: AtWork, progress: Progress) -> float:
    """Of one at work: to the mean length, or to the whole one where it has passed that."""
    usual = progress.epochs_of_a_trial if progress.in_sweep else progress.max_epochs
    end = usual if training.epoch < usual else progress.max_epochs
    return float(max(0, end - training.epoch))


def _end(busy: Sequence[float], to_come: Sequence[float], at_once: int) -> float:
    """When the last has ended, each to come being taken by whoever is free first."""
    free_at = [*busy, *[0.0] * (at_once - len(busy))]
    heapq.heapify(free_at)
    for length in to_come:
        heapq.heappush(free_at, heapq.heappop(free_at) + length)
    return max(free_at, default=0.0)
