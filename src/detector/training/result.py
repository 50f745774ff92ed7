"""What a training reports while it runs and when it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detector.wording import counted

LAST, BEST = "last.ckpt", "best.ckpt"
"""The files of a training's folder that hold its whole state, and the weights that it keeps."""
PREVIOUS = ".previous.ckpt"
"""The whole state before that: a hidden file, since a run store has a snapshot before, too."""


def trained_before(epochs: int) -> str:
    """What is said of a training that has nothing left to do.

    >>> trained_before(1)
    'trained before: 1 epoch, all there are'
    """
    return f"trained before: {counted(epochs, 'epoch')}, all there are"


Status = Literal["finished", "stopped", "preempted"]
"""A training "finished" all its epochs, was "stopped" early by `OnEpoch`, or was "preempted" by
SIGTERM and is to be resumed."""


@dataclass(frozen=True)
class EpochMetrics:
    """The metrics of one finished epoch.

    Attributes:
        epoch: from 1.
        values: those of `detector.config.metrics`, by name.
    """

    epoch: int
    values: Mapping[str, float]


OnEpoch = Callable[[EpochMetrics], bool]
"""Called after each epoch; returning False ends the training early."""
OnStep = Callable[[int, int, int], None]
"""Called with an epoch, how many of its steps are done, and how many it has."""


@dataclass(frozen=True)
class TrainResult:
    """How a training ended.

    Attributes:
        status: see `Status`.
        epochs: finished ones.
        kept_epoch: the epoch whose weights are kept (see `EpochChoice`); 0 before there is one.
        kept_hmean: its `val/hmean`.
        checkpoint: its weights.
    """

    status: Status
    epochs: int
    kept_epoch: int
    kept_hmean: float
    checkpoint: Path
