"""What a training asks of a tracker, and which tracker a configuration asks for.

A training knows the protocol alone. Whatever becomes of a tracker, the training goes on: no call
raises, and none waits for a network or a disk.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from detector.data.processes import Processes

if TYPE_CHECKING:
    from detector.config import Config

Outcome = Literal["finished", "stopped", "preempted", "failed"]
Pictures = Callable[[], Mapping[str, bytes]]
"""Draws JPEG pictures, by caption; only called where they are shown."""


class Tracker(Protocol):
    """Tracks one training."""

    def epoch(
        self, epoch: int, values: Mapping[str, float], pictures: Pictures | None = None
    ) -> None:
        """Track a finished epoch. A training that is resumed repeats those that it had reported;
        each is kept once.

        Args:
            epoch: from 1.
            values: its metrics, by name.
            pictures: to be shown beside them.
        """

    def model(self, export: Callable[[], Path]) -> None:
        """Keep the trained model. `export` writes it as an ONNX file and names that; it is only
        called where the model is kept."""

    def end(self, outcome: Outcome) -> None:
        """The training is over in this process; "preempted" means that another resumes it."""


class _Untracked:
    def epoch(
        self, epoch: int, values: Mapping[str, float], pictures: Pictures | None = None
    ) -> None:
        pass

    def model(self, export: Callable[[], Path]) -> None:
        pass

    def end(self, outcome: Outcome) -> None:
        pass


UNTRACKED: Tracker = _Untracked()


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
