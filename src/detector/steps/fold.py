"""The fifth step, once for each fold: the best configuration trained without that fold's pages."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from detector.config import Config, apply_params
from detector.console import say
from detector.data.folds import SWEEP_FOLD
from detector.errors import DetsweepError, PreemptedError, TrainingError
from detector.steps.child import GRACE_S, Work
from detector.steps.run import Run, fold_key, rescored_key, trial_key
from detector.steps.trained import (
    Origin,
    copy_training,
    finished_epochs,
    metrics_of,
    train_to_the_end,
)

RESULT = "result.json"


@dataclass(frozen=True)
class FoldResult:
    """A fold's model.

    Attributes:
        scores: on the fold's own pages, by metric (`val/hmean`, …), at the epoch that is kept.
        reused_trial: the trial that it was copied from, None if it was trained.
    """

    fold: int
    epoch: int
    scores: Mapping[str, float]
    reused_trial: int | None


def train_fold(
    store_url: str, sweep_id: str, fold: int, elsewhere: Callable[[], None] | None = None
) -> FoldResult:
    """Train the sweep's best configuration on all folds but one, into folds/<k>/.

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
    run = Run(store_url)
    best = run.best(sweep_id)
    config, folds = apply_params(run.config(), best.params), run.folds()
    key, origin = fold_key(fold), Origin.of(config, folds, fold)
    if _is_trained(run, origin):
        say(f"fold {fold} is trained already")
        return read_fold_results(run, [fold])[0]
    reused = _reuse_trial(run, sweep_id, best.trial, origin)
    if elsewhere is not None and _epochs_done(run, origin) < config.trainer.max_epochs:
        _train_elsewhere(run, origin, config, elsewhere)
        return train_fold(store_url, sweep_id, fold)
    # A trial that was stopped early is taken on to its last epoch.
    trained = train_to_the_end(run, key, config, folds, fold, f"fold {fold}")
    scores = metrics_of(run, key, trained.kept_epoch)
    result = FoldResult(fold, trained.kept_epoch, scores, reused)
    run.store.write(f"{key}/{RESULT}", json.dumps(asdict(result), indent=1))
    return result


def train_fold_lastingly(
    store_url: str, sweep_id: str, fold: int, grace_s: float = GRACE_S
) -> FoldResult:
    """`train_fold` in a child that this process outlives (see `detector.steps.child`)."""
    return Work(
        f"fold {fold}", train_fold, lambda: (store_url, sweep_id, fold), grace_s=grace_s
    ).done()


def share_fold(store_url: str, sweep_id: str, fold: int) -> None:
    """Take part in `train_fold` as one of the processes that torchrun has started, other than the
    first: it trains as that one does, and leaves the store alone.

    Raises:
        PreemptedError: one of them was asked to end before the fold was trained.
    """
    # torch takes seconds to import, which a step that finds its work done saves.
    from detector.training.run import train  # noqa: PLC0415

    run = Run(store_url)
    config, folds = apply_params(run.config(), run.best(sweep_id).params), run.folds()
    if _is_trained(run, Origin.of(config, folds, fold)):
        return
    with TemporaryDirectory(prefix="detsweep-") as scratch:
        result = train(config, folds, fold, Path(scratch), lambda _: True)
    if result.status == "preempted":
        # A process that ended well would be missed by those that are started again.
        raise PreemptedError(f"fold {fold} was asked to end before it was trained")


def _is_trained(run: Run, origin: Origin) -> bool:
    key = fold_key(origin.fold)
    return run.store.exists(f"{key}/{RESULT}") and Origin.read(run, key) == origin


def _epochs_done(run: Run, origin: Origin) -> int:
    key = fold_key(origin.fold)
    return finished_epochs(run, key) if Origin.read(run, key) == origin else 0


def _train_elsewhere(
    run: Run, origin: Origin, config: Config, elsewhere: Callable[[], None]
) -> None:
    """Have the epochs trained that are left. What was lost, but got further, is begun again."""
    while (before := _epochs_done(run, origin)) < config.trainer.max_epochs:
        failure: DetsweepError | None = None
        try:
            elsewhere()
        except PreemptedError:
            raise
        except DetsweepError as error:
            failure = error
        if (done := _epochs_done(run, origin)) == before:
            raise failure or TrainingError(
                f"fold {origin.fold} was left after {done} of {config.trainer.max_epochs} epochs",
                where=run.store.url(fold_key(origin.fold)),
                remedy="the lines above say why; run it again: it continues from there",
            )
        if failure is not None:
            say(f"{failure.problem}. Epoch {done} was finished before that: started again")


def _reuse_trial(run: Run, sweep_id: str, trial: int, origin: Origin) -> int | None:
    """Make the trial's model the fold's, if it is one of the same origin; the trial's number, or
    None if it cannot be."""
    fold = origin.fold
    key = trial_key(sweep_id, trial) if fold == SWEEP_FOLD else rescored_key(sweep_id, trial, fold)
    taken = Origin.read(run, key)
    if taken != origin:
        if taken is not None:
            say(f"trial {trial} had another configuration or other data: trained again")
        return None
    say(f"trial {trial} left out fold {fold} and is its model")
    if Origin.read(run, fold_key(fold)) != origin:
        run.store.remove(fold_key(fold))
        copy_training(run, key, fold_key(fold))
    return trial


def read_fold_results(run: Run, folds: list[int]) -> list[FoldResult]:
    """What `train_fold` left for each of `folds`."""
    return [FoldResult(**json.loads(run.store.read(f"{fold_key(k)}/{RESULT}"))) for k in folds]
