"""A run that is under way, looked at from outside: how long it will still take."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from statistics import mean, median

from detector.config.metrics import SECONDS
from detector.config.schema import Config
from detector.data.folds import SWEEP_FOLD
from detector.planning.estimate import passes_of_the_ensemble
from detector.planning.forecast import AtWork, Forecast, Progress, forecast
from detector.planning.stopping import simulate_sweep
from detector.steps.run import Run
from detector.sweep.ending import most_trials
from detector.sweep.opening import open_backend
from detector.sweep.trial import TrialRecord
from detector.sweepfile.spec import SweepSpec

_LOOKED_AT = 6
"""Of how many trainings the length of an epoch is taken."""
_SIMULATIONS = 20
_FORWARD_SHARE = 1 / 3
"""What finding the text of a pixel takes of training on it: no way back through the network."""


class RunUnderWay:
    """Looks at a run and its sweep, again and again.

    Args:
        run: its store.
        backend: where its trials are, a URL.
        at_once: how many trials, and later folds, are trained at once.
        clock: gives seconds.
    """

    def __init__(
        self,
        run: Run,
        backend: str,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._run, self._at_once, self._clock = run, at_once, clock
        self._backend = cache(lambda: open_backend(backend, patience_seconds=0))
        self._configuration = cache(lambda: run.config)
        self._page_counts = cache(lambda: _count_pages(run))
        self._usual: float | None = None
        self._seconds: dict[int, tuple[int, list[float]]] = {}
        self._trained_at: float | None = None

    def forecast(self) -> Forecast | None:
        """When it will have ended; None before its first epoch, and for a sweep without a limit."""
        begun = self._run.begun
        if begun is None or not self._run.is_prepared:
            return None
        sweep = self._backend().open(begun.id)
        trials = sweep.trials()
        limit = most_trials(sweep.spec, trials)
        if limit is None or not sweep.spec.trains_detector:
            return None
        epoch_seconds = self._epoch_seconds(trials)
        if epoch_seconds is None:
            return None
        config = self._configuration()
        if self._usual is None:
            self._usual = _usual_epochs(sweep.spec, limit, config.trainer.max_epochs, self._at_once)
        running = [t for t in trials if t.state == "running"]
        waiting = sum(t.state == "waiting" for t in trials)
        to_come = max(0, limit - len(trials)) + waiting
        common = (epoch_seconds, config.trainer.max_epochs, self._usual, self._at_once)
        ensemble = self._ensemble_epochs(config)
        if running or to_come:
            at_work = [AtWork(f"trial {t.number}", t.epoch) for t in running]
            after = len(config.folds.trained) - 1 + config.folds.rescore / 2
            return forecast(Progress(*common, at_work, to_come, after, ensemble, in_sweep=True))
        folds = {
            number: len(self._run.fold(number).history)
            for number in config.folds.trained
            if number != SWEEP_FOLD
        }
        last = config.trainer.max_epochs
        at_work = [AtWork(f"fold {k}", epoch) for k, epoch in folds.items() if 0 < epoch < last]
        unbegun = float(sum(epoch == 0 for epoch in folds.values()))
        if self._run.find_outcome() is None:
            unbegun += config.folds.rescore / 2
        left = forecast(Progress(*common, at_work, 0, unbegun, ensemble, in_sweep=False))
        return left if at_work or unbegun else self._since_training(left)

    def _since_training(self, left: Forecast) -> Forecast:
        """What the last step still takes: it leaves nothing to be seen before its end."""
        if self._trained_at is None:
            self._trained_at = self._clock()
        return replace(left, ensemble=max(0.0, left.ensemble - self._clock() + self._trained_at))

    def _epoch_seconds(self, trials: list[TrialRecord]) -> float | None:
        """Of the trials that were trained last."""
        trained = [trial for trial in trials if trial.epoch][-_LOOKED_AT:]
        seconds = [taken for trial in trained for taken in self._seconds_of(trial)]
        return median(seconds) if seconds else None

    def _seconds_of(self, trial: TrialRecord) -> list[float]:
        """Of each epoch; read again only when there is another: the store may be far away."""
        epoch, known = self._seconds.get(trial.number, (0, []))
        if epoch != trial.epoch or not known:
            history = self._run.trial(trial.number).history
            known = [row[SECONDS] for row in history.values()]
            self._seconds[trial.number] = trial.epoch, known
        return known

    def _ensemble_epochs(self, config: Config) -> float:
        """What measuring the candidates takes, in epochs of a training."""
        trained, validated, held_out = self._page_counts()
        page = config.data.resize.side**2 * _FORWARD_SHARE
        crops = trained * config.data.crops_per_page * config.data.crop_size**2
        pages = trained + validated + passes_of_the_ensemble(config) * held_out
        return pages * page / (crops + validated * page)


def _count_pages(run: Run) -> tuple[int, int, int]:
    """Of a trial's training and validation, and those held out."""
    folds = [entry.fold for entry in run.manifest.pages]
    validated, held_out = folds.count(SWEEP_FOLD), folds.count(None)
    return len(folds) - validated - held_out, validated, held_out


def _usual_epochs(spec: SweepSpec, trials: int, max_epochs: int, at_once: int) -> float:
    """Of a trial, in the mean, early stopping included."""
    rule = spec.early_terminate.rule() if spec.early_terminate else None
    courses = [simulate_sweep(rule, trials, max_epochs, at_once, s) for s in range(_SIMULATIONS)]
    return mean(course.epochs for course in courses) / trials
