"""The fifth step, once for each fold: the best configuration trained without that fold's pages."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from detector.config.loading import apply_params
from detector.config.schema import Config
from detector.console import say
from detector.data.folds import SWEEP_FOLD, Folds
from detector.errors import DetsweepError, PreemptedError, TrainingError
from detector.export.teacher import with_taught_pages
from detector.steps.child import GRACE_S, Work
from detector.steps.run import Run
from detector.steps.train import train_to_the_end
from detector.steps.training import FoldResult, Origin, Training
from detector.storage.scratch import scratch_folder
from detector.sweep.trial import TrialRecord


def train_fold(run: Run, number: int, elsewhere: Callable[[], None] | None = None) -> FoldResult:
    """Train the sweep's best configuration on all folds but one.

    The best trial left out fold 0, so it is that fold's model already; so may be what `select` has
    trained of it for another fold. It is trained again only if the configuration or the data set is
    another by now.

    Args:
        elsewhere: where epochs are left to train, has them trained by other processes. It is called
            again as long as each call finishes an epoch.

    Raises:
        PreemptedError: it was asked to end before it was trained.
        DetsweepError: what `elsewhere` raised.
    """
    fold = _Fold(run, number)
    if result := fold.result:
        say(f"fold {number} is trained already")
        return result
    reused = fold.reuse_trial()
    if elsewhere is not None and fold.epochs_left:
        fold.train_elsewhere(elsewhere)
        return train_fold(run, number)
    # A trial that was stopped early is taken on to its last epoch.
    train_to_the_end(fold.training, fold.config, fold.folds, number)
    kept_epoch = fold.training.kept.epoch
    scores = fold.training.history[kept_epoch]
    result = FoldResult(number, kept_epoch, scores, reused, fold.origin)
    fold.training.write_result(result)
    return result


def train_fold_lastingly(run: Run, number: int, grace_s: float = GRACE_S) -> FoldResult:
    """`train_fold` in a child that this process outlives (see `detector.steps.child`)."""
    return Work(f"fold {number}", train_fold, lambda: (run, number), grace_s=grace_s).done()


def share_fold(run: Run, number: int) -> None:
    """Take part in `train_fold` as one of the processes that torchrun has started, other than the
    first: it trains as that one does, and leaves the store alone.

    Raises:
        PreemptedError: one of them was asked to end before the fold was trained.
    """
    # torch takes seconds to import, which a step that finds its work done saves.
    from detector.training.run import train  # noqa: PLC0415

    fold = _Fold(run, number)
    if fold.result:
        return
    with scratch_folder("fold") as scratch:
        folds = with_taught_pages(fold.config, fold.folds)
        trained = train(fold.config, folds, number, scratch, lambda _: True)
    if trained.status == "preempted":
        # A process that ended well would be missed by those that are started again.
        raise PreemptedError(f"fold {number} was asked to end before it was trained")


@dataclass(frozen=True)
class _Fold:
    """What a fold's training comes of, and how far it is."""

    run: Run
    number: int

    @property
    def training(self) -> Training:
        return self.run.fold(self.number)

    @cached_property
    def best(self) -> TrialRecord:
        best = self.run.outcome.best
        assert best is not None, "an outcome is stored once its best trial is selected"
        return best

    @cached_property
    def config(self) -> Config:
        return apply_params(self.run.config, self.best.params)

    @cached_property
    def folds(self) -> Folds:
        return self.run.folds()

    @cached_property
    def origin(self) -> Origin:
        return Origin.of(self.config, self.folds, self.number)

    @property
    def result(self) -> FoldResult | None:
        """What it came to, None where it has not ended or came of something else."""
        result = self.training.result
        return result if result is not None and result.origin == self.origin else None

    @property
    def epochs_done(self) -> int:
        return self.training.epochs_done(self.origin)

    @property
    def epochs_left(self) -> int:
        return self.config.trainer.max_epochs - self.epochs_done

    def train_elsewhere(self, elsewhere: Callable[[], None]) -> None:
        """Have the epochs trained that are left. What was lost, but got further, is begun again."""
        while self.epochs_left > 0:
            before = self.epochs_done
            failure: DetsweepError | None = None
            try:
                elsewhere()
            except PreemptedError:
                raise
            except DetsweepError as error:
                failure = error
            if (done := self.epochs_done) == before:
                epochs = self.config.trainer.max_epochs
                raise failure or TrainingError(
                    f"fold {self.number} was left after {done} of {epochs} epochs",
                    where=self.training.url,
                    remedy="the lines above say why; run it again: it continues from there",
                )
            if failure is not None:
                say(f"{failure.problem}. Epoch {done} was finished before that: started again")

    def reuse_trial(self) -> int | None:
        """Make the best trial's model the fold's, if it is one of the same origin; the trial's
        number, or None if it cannot be."""
        trial = self.best.number
        taken = self._of_trial(trial)
        if taken.origin != self.origin:
            if taken.origin is not None:
                say(f"trial {trial} had another configuration or other data: trained again")
            return None
        say(f"trial {trial} left out fold {self.number} and is its model")
        if self.training.origin != self.origin:
            taken.copy_to(self.training)
        return trial

    def _of_trial(self, trial: int) -> Training:
        """Where a trial was trained without this fold's pages, if it was."""
        if self.number == SWEEP_FOLD:
            return self.run.trial(trial)
        return self.run.rescored(trial, self.number)
