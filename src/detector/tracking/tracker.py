"""What a training asks of a tracker. Which one a configuration asks for, `opening` decides.

A training knows the protocol alone. Whatever becomes of a tracker, the training goes on: no call
raises, and none waits for a network or a disk.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol

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
