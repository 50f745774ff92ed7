"""One training inside the run store: a trial's or a fold's, in the same way."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from detector.config import Config
from detector.console import say
from detector.data.folds import Folds
from detector.errors import PreemptedError
from detector.steps.child import Progress, say_to_parent
from detector.steps.run import Run
from detector.steps.trainer_status import show_progress
from detector.sweep.reporting import HISTORY, read_history
from detector.tracking.tracker import open_tracker
from detector.tracking.wandb import STATE as WANDB_STATE

if TYPE_CHECKING:
    from detector.training.result import EpochMetrics, TrainResult

ORIGIN = "origin.json"


@dataclass(frozen=True)
class Origin:
    """What a training came of: equal origins give the same model.

    Attributes:
        config: the configuration's digest.
        data: the digest of the data set and its folds.
        fold: the fold whose pages are left out.
    """

    config: str
    data: str
    fold: int

    @classmethod
    def of(cls, config: Config, folds: Folds, fold: int) -> "Origin":
        return cls(config.digest(), folds.manifest.digest(), fold)

    @classmethod
    def read(cls, run: Run, key: str) -> "Origin | None":
        """The origin of the training below `key`, None where there is none."""
        path = f"{key}/{ORIGIN}"
        return cls(**json.loads(run.store.read(path))) if run.store.exists(path) else None


def train_in_store(
    run: Run,
    key: str,
    config: Config,
    folds: Folds,
    fold: int,
    on_epoch: Callable[["EpochMetrics"], bool],
) -> "TrainResult":
    """Train below `key`, continuing what was begun there, and keep the store up to date.

    What stands there from another configuration or another data set is removed first.
    """
    # torch takes seconds to import, which a step that finds its work done saves.
    from detector.training.run import train  # noqa: PLC0415

    origin = Origin.of(config, folds, fold)
    if Origin.read(run, key) not in (None, origin):
        run.store.remove(key)
    run.store.write(f"{key}/{ORIGIN}", json.dumps(asdict(origin)))
    group, name = Path(run.store.url()).name, key.removeprefix("sweeps/")
    with (
        run.store.folder(key) as folder,
        open_tracker(config, folder.path, name, group) as tracker,
    ):

        def after_epoch(metrics: "EpochMetrics") -> bool:
            folder.publish()
            say_to_parent(Progress())
            return on_epoch(metrics)

        result = train(config, folds, fold, folder.path, after_epoch, tracker)
        tracker.end(result.status)
        return result


def train_to_the_end(
    run: Run, key: str, config: Config, folds: Folds, fold: int, name: str
) -> "TrainResult":
    """`train_in_store`, telling each new epoch.

    Raises:
        PreemptedError: it was asked to end before all its epochs were trained.
    """
    told = finished_epochs(run, key)

    def on_epoch(metrics: "EpochMetrics") -> bool:
        # A training that is resumed begins by reporting what it had finished.
        if metrics.epoch > told:
            hmean = metrics.values["val/hmean"]
            say(f"epoch {metrics.epoch}/{config.trainer.max_epochs} · val/hmean {hmean:.4f}")
            show_progress(metrics.epoch, config.trainer.max_epochs, metrics.values)
        return True

    trained = train_in_store(run, key, config, folds, fold, on_epoch)
    if trained.status == "preempted":
        raise PreemptedError(
            f"{name} was asked to end before it was trained", where=run.store.url(key)
        )
    return trained


def copy_training(run: Run, source: str, target: str) -> None:
    """Put a copy of the training below `source` below `target`."""
    with run.store.folder(source) as taken, run.store.folder(target) as folder:
        shutil.copytree(
            taken.path,
            folder.path,
            ignore=shutil.ignore_patterns(ORIGIN, WANDB_STATE, "*.tmp"),
            dirs_exist_ok=True,
        )
    # Last, for it says whose training lies there.
    run.store.write(f"{target}/{ORIGIN}", run.store.read(f"{source}/{ORIGIN}"))


def finished_epochs(run: Run, key: str) -> int:
    """How many epochs the training below `key` has behind it."""
    return len(history_of(run, key))


def training_seconds(run: Run, key: str, epochs: int) -> float:
    """How long `epochs` epochs take, by the middle one of those that the training has told of."""
    history = read_history(run.store.read(f"{key}/{HISTORY}").decode())
    return epochs * median(row["seconds"] for row in history.values())


def metrics_of(run: Run, key: str, epoch: int) -> Mapping[str, float]:
    """The metrics of one epoch, from 1, of the training below `key`."""
    return history_of(run, key)[epoch]


def history_of(run: Run, key: str) -> dict[int, dict[str, float]]:
    """The metrics of every epoch, from 1, of the training or program below `key`."""
    path = f"{key}/{HISTORY}"
    return read_history(run.store.read(path).decode()) if run.store.exists(path) else {}
