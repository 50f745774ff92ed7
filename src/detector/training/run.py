"""One training run, top to bottom: build, resume, train and validate each epoch, save, end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from detector.choosing.pages import KeptEpoch, PageScores
from detector.config.metrics import (
    HMEAN_PAGES,
    LOSS,
    METRIC,
    PRECISION,
    RATE,
    RECALL,
    SECONDS,
)
from detector.config.schema import Config
from detector.console import say
from detector.data.fit import require_text
from detector.data.folds import Folds
from detector.errors import TrainingError
from detector.evaluation.cleval.counts import DatasetScore
from detector.interrupt import Interrupt, catch_sigterm
from detector.pace import Pace
from detector.tracking.tracker import UNTRACKED, Tracker
from detector.training.folder import TrainingFolder
from detector.training.group import any_of, start_fabric
from detector.training.nothing_found import is_worth_a_word, likely_reason
from detector.training.parts import build_parts
from detector.training.progress import Progress, as_metrics
from detector.training.result import EpochMetrics, OnEpoch, OnStep, Status, TrainResult
from detector.training.schedule import learning_rate
from detector.training.validate import Validation
from detector.wording import counted


def train(
    config: Config,
    folds: Folds,
    fold: int | None,
    run_dir: Path,
    on_epoch: OnEpoch,
    tracker: Tracker = UNTRACKED,
    on_step: OnStep | None = None,
) -> TrainResult:
    """Train a detector on all folds but one.

    `run_dir` receives `config.yaml`, `metrics.jsonl` (one line an epoch) and `last.ckpt`, and for
    the epoch that is kept (see `EpochChoice`) `best.ckpt` and `pages.json`, its counts on each
    validation page. A run that was interrupted goes on from its `last.ckpt` as if nothing had
    happened: the same crops in the same order with the same rates. Epochs that it had finished are
    reported to `on_epoch` again, so that the caller misses none.

    Several processes that torchrun has started share the training, and its result is that of one,
    within rounding. Each of them calls this. Only the first touches `run_dir` and reports epochs;
    SIGTERM to any of them interrupts all.

    Args:
        config: what to train and how.
        folds: the data set.
        fold: the fold left out and validated on; None trains on every page that is not held out,
            and validates on those that are.
        run_dir: a local folder of this run alone.
        on_epoch: called after each epoch; returning False ends the run.
        tracker: is given each epoch too; the caller ends it.
        on_step: called before an epoch's first step and after each; by default long epochs print
            a line now and then.

    Raises:
        ConfigError: the batch cannot be shared by so many processes.
        DataError: nothing to train on, or no text in it.
        TrainingError: the loss stopped being a number, `last.ckpt` is of another configuration, or
            a process that loads data has failed.
    """
    with catch_sigterm() as interrupt, _loading(config.data.num_workers):
        run = TrainingRun(config, folds, fold, run_dir, tracker, on_step or _step_lines())
        return run.train(on_epoch, interrupt)


def _step_lines() -> OnStep:
    """A line now and then on how far an epoch is."""
    pace = Pace("step")
    return lambda epoch, done, of: pace(f"epoch {epoch}", done, of)


class TrainingRun:
    """One training in its folder, as far as it has come. See `train`."""

    def __init__(
        self,
        config: Config,
        folds: Folds,
        fold: int | None,
        run_dir: Path,
        tracker: Tracker,
        on_step: OnStep,
    ):
        self._config, self._tracker, self._on_step = config, tracker, on_step
        self._fabric = start_fabric(config.trainer)
        self._is_first = self._fabric.is_global_zero
        self._validation = Validation(folds.validation(fold), config, self._fabric)
        pages = folds.training(fold)
        require_text(pages, "training")
        require_text(self._validation.pages, "validation")
        self._folder = TrainingFolder(run_dir, config, folds.digest(), fold)
        self._parts = build_parts(config, pages, self._fabric, folds.taught)
        self._progress = Progress()
        self._resume()
        # Not before: the folder of another training has its own.
        if self._is_first:
            self._folder.write_config()

    def train(self, on_epoch: OnEpoch, interrupt: Interrupt) -> TrainResult:
        """Train what is left; see `train`."""
        for metrics in self._progress.finished:
            if self._is_first:
                self._tracker.epoch(metrics.epoch, metrics.values)
            if not self._goes_on(on_epoch, metrics):
                return self._result("stopped")
        for epoch in range(self._progress.next_epoch, self._config.trainer.max_epochs + 1):
            started = time.monotonic()
            if not self._train_epoch(epoch, interrupt):
                self._save_interrupted(epoch)
                return self._result("preempted")
            metrics = self._finish_epoch(epoch, started)
            if not self._goes_on(on_epoch, metrics):
                return self._result("stopped")
        return self._result("finished")

    def _goes_on(self, on_epoch: OnEpoch, metrics: EpochMetrics) -> bool:
        """What `on_epoch` answers, which only the first process asks. After the last epoch nothing
        is left to stop."""
        answer = self._fabric.broadcast(not self._is_first or on_epoch(metrics))
        return answer or metrics.epoch == self._config.trainer.max_epochs

    def _train_epoch(self, epoch: int, interrupt: Interrupt) -> bool:
        """Take the epoch's remaining steps; False if the run was interrupted before its end."""
        if any_of(self._fabric, interrupt.requested):  # In the last step of the epoch before.
            return False
        parts, progress, models = self._parts, self._progress, self._config.models
        parts.model.train()
        torch.manual_seed(self._config.seed * 1_000_003 + epoch)
        parts.batches.epoch, parts.batches.start = epoch, progress.step_in_epoch
        self._report_step(epoch)
        for batch in parts.loader:
            done = epoch - 1 + progress.step_in_epoch / len(parts.batches)
            rate = learning_rate(done, models.optimizer, models.scheduler)
            progress.add_step(parts.stepper.step(batch, rate))
            self._report_step(epoch)
            interrupted = any_of(self._fabric, interrupt.requested)
            if interrupted and progress.step_in_epoch < len(parts.batches):
                return False
        return True

    def _report_step(self, epoch: int) -> None:
        if self._is_first:
            self._on_step(epoch, self._progress.step_in_epoch, len(self._parts.batches))

    def _finish_epoch(self, epoch: int, started: float) -> EpochMetrics:
        """Validate the epoch, decide whether its weights are kept, and save."""
        score = self._validation.score(self._parts.weights_to_keep.eval())
        row = self._row(epoch, score, started)
        if (
            self._is_first
            and not score.hmean
            and is_worth_a_word(epoch, self._config.trainer.max_epochs)
        ):
            say(f"warning: {likely_reason(score, epoch, self._config)}")
        self._progress.add_epoch(row)
        candidate = KeptEpoch(epoch, PageScores.of(self._validation.pages, score))
        is_kept = self._progress.choice.offer(candidate)
        if self._is_first:
            self._save_epoch(row, candidate if is_kept else None)
        return as_metrics(row)

    def _row(self, epoch: int, score: DatasetScore, started: float) -> dict[str, float]:
        models = self._config.models
        return {
            "epoch": epoch,
            LOSS: self._progress.mean_loss,
            RATE: learning_rate(epoch, models.optimizer, models.scheduler),
            METRIC: score.hmean,
            RECALL: score.recall,
            PRECISION: score.precision,
            HMEAN_PAGES: score.hmean_pages,
            SECONDS: time.monotonic() - started,
        }

    def _save_epoch(self, row: dict[str, float], kept: KeptEpoch | None) -> None:
        if kept:
            self._folder.keep(self._parts.weights_to_keep, row, kept, self._parts.origin)
        self._save()
        self._folder.write_curve(self._progress.history)
        metrics = as_metrics(row)
        pictures = self._validation.overlays if kept else None
        self._tracker.epoch(metrics.epoch, metrics.values, pictures)

    def _save_interrupted(self, epoch: int) -> None:
        if self._is_first:
            self._save()
            steps = self._progress.step_in_epoch
            say(f"epoch {epoch} interrupted after {counted(steps, 'step')}; resume to go on")

    def _save(self) -> None:
        self._folder.save({**self._parts.state_dict(), **self._progress.state_dict()})

    def _resume(self) -> None:
        state = self._fabric.broadcast(self._folder.load() if self._is_first else None)
        if state is None:
            return
        self._parts.load_state_dict(state)
        self._progress.load_state_dict(state)
        if self._is_first:
            # The file may be older than the state, or damaged.
            self._folder.write_curve(self._progress.history)
            say(self._progress.where_it_was(self._config.trainer.max_epochs))

    def _result(self, status: Status) -> TrainResult:
        return self._progress.result(status, self._folder.best)


@contextmanager
def _loading(workers: int) -> Iterator[None]:
    """Say in a line that a process that loads data has died or has no room. Where one dies, torch
    interrupts this process wherever it is."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        reason = str(error).strip().rpartition("\n")[2]  # of that process's traceback
        raise TrainingError(
            f"a process that loads data has failed: {reason}",
            where=f"data.num_workers={workers}",
            remedy="give this machine or container more memory, or more shared memory (/dev/shm), "
            "or lower data.num_workers; 0 needs neither. What was trained is kept",
        ) from error
