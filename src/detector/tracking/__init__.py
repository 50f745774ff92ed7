"""Where a training tells of itself, beside its own files: nowhere, or at W&B (`tracker=wandb`).

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

__all__ = ["UNTRACKED", "Outcome", "Pictures", "Tracker", "open_tracker"]

Outcome = Literal["finished", "stopped", "preempted", "failed"]
Pictures = Callable[[], Mapping[str, bytes]]
"""Draws JPEG pictures, by caption; only called where they are shown."""


class Tracker(Protocol):
    """One training's."""

    def epoch(
        self, epoch: int, values: Mapping[str, float], pictures: Pictures | None = None
    ) -> None:
        """A finished epoch, from 1, and its metrics. A training that is resumed repeats those that
        it had told of; each is kept once."""

    def model(self, export: Callable[[], Path]) -> None:
        """The trained model as an ONNX file, which is only exported where it is kept."""

    def end(self, outcome: Outcome) -> None:
        """The training is over here; "preempted" says that it is resumed elsewhere."""


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
    """The tracker that `config` asks for. Left by an error, it is told that the training failed. Of
    several processes that share a training the first alone has one.

    Args:
        run_dir: the training's folder. The same one continues what is tracked of it.
        name: what people call the training.
        group: of the trainings that belong together.
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
