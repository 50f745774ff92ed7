"""Training in the run store: a trial, a rescoring or a fold, in the same way."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from detector.config.metrics import METRIC
from detector.config.schema import Config
from detector.console import say
from detector.data.folds import Folds
from detector.errors import PreemptedError
from detector.export.teacher import with_taught_pages
from detector.steps.child import Progress, say_to_parent
from detector.steps.trainer_status import show_progress
from detector.steps.training import Origin, Training
from detector.tracking.opening import open_tracker
from detector.training.result import trained_before

if TYPE_CHECKING:
    from detector.training.result import EpochMetrics, TrainResult


def train_in(
    place: Training,
    config: Config,
    folds: Folds,
    fold: int,
    on_epoch: Callable[["EpochMetrics"], bool],
    attempt: int | None = None,
) -> "TrainResult":
    """Train in a place of the run store, continuing what was begun there, and keep the store up to
    date after each epoch.

    Args:
        on_epoch: called after each epoch; returning False ends the training.
        attempt: its number, where a sweep counts them.

    Raises:
        SupersededError: a later attempt has begun to publish.
    """
    # torch takes seconds to import, which a step that finds its work done saves.
    from detector.training.run import train  # noqa: PLC0415

    origin = Origin.of(config, folds, fold)
    folds = with_taught_pages(config, folds)
    with (
        place.attempt(origin, attempt) as folder,
        open_tracker(config, folder.path, place.tracked_as, place.group) as tracker,
    ):

        def after_epoch(metrics: "EpochMetrics") -> bool:
            folder.publish()
            say_to_parent(Progress())
            return on_epoch(metrics)

        result = train(config, folds, fold, folder.path, after_epoch, tracker)
        tracker.end(result.status)
        return result


def train_to_the_end(place: Training, config: Config, folds: Folds, fold: int) -> None:
    """`train_in` until all epochs are trained, with a line for each new one; what it came to is
    read from the place.

    Raises:
        PreemptedError: it was asked to end before all its epochs were trained.
    """
    origin = Origin.of(config, folds, fold)
    epochs_before = place.epochs_done(origin)
    if epochs_before == config.trainer.max_epochs:
        say(trained_before(epochs_before))
        _track(place, config, origin)
        return

    def on_epoch(metrics: "EpochMetrics") -> bool:
        # A training that is resumed begins by reporting what it had finished.
        if metrics.epoch > epochs_before:
            hmean = metrics.values[METRIC]
            say(f"epoch {metrics.epoch}/{config.trainer.max_epochs} · {METRIC} {hmean:.4f}")
            show_progress(metrics.epoch, config.trainer.max_epochs, metrics.values)
        return True

    trained = train_in(place, config, folds, fold, on_epoch)
    if trained.status == "preempted":
        raise PreemptedError(
            f"{place.name} was asked to end before it was trained", where=place.url
        )


def _track(place: Training, config: Config, origin: Origin) -> None:
    """Have the tracker know a training that was copied here, or trained by other processes."""
    if config.tracker == "none":
        return
    with (
        place.attempt(origin) as folder,
        open_tracker(config, folder.path, place.tracked_as, place.group) as tracker,
    ):
        for epoch, values in place.history.items():
            tracker.epoch(epoch, values)
        tracker.end("finished")
