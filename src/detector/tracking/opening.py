"""From a configuration to the tracker that it asks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from detector.data.processes import Processes
from detector.tracking.tracker import UNTRACKED, Tracker

if TYPE_CHECKING:
    from detector.config.schema import Config


@contextmanager
def open_tracker(config: "Config", run_dir: Path, name: str, group: str) -> Iterator[Tracker]:
    """The tracker that `config` asks for. An error that leaves the block ends it as "failed". Where
    several processes share a training, only the first tracks it.

    Args:
        run_dir: the training's folder. With the same folder its tracking continues.
        name: what people call the training.
        group: names the trainings that belong together.
    """
    tracker = UNTRACKED
    if config.tracker == "wandb" and Processes.of_environment().is_first:
        # wandb takes a second to import, and is only needed here.
        from detector.tracking.wandb import wandb_tracker  # noqa: PLC0415

        tracker = wandb_tracker(config, run_dir, name, group)
    try:
        yield tracker
    except BaseException:
        tracker.end("failed")
        raise
