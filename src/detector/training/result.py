"""What a training says of itself while it runs and when it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

METRIC = "val/hmean"
"""The metric that an epoch is kept for; higher is better."""


@dataclass(frozen=True)
class EpochMetrics:
    """The metrics of one finished epoch.

    Attributes:
        epoch: from 1.
        values: `val/hmean`, `val/recall`, `val/precision` (CLEval over all characters),
            `val/hmean_pages` (mean of the pages' own), `train/loss`, `lr`, `seconds`.
    """

    epoch: int
    values: Mapping[str, float]


OnEpoch = Callable[[EpochMetrics], bool]
"""Called after each epoch; False ends the training early."""


@dataclass(frozen=True)
class TrainResult:
    """How a training ended.

    Attributes:
        status: "finished" all its epochs, "stopped" early by `OnEpoch`, or "preempted" by SIGTERM,
            to be resumed.
        epochs: finished ones.
        kept_epoch: the epoch whose weights are kept (see `EpochChoice`); 0 before there is one.
        kept_hmean: its `val/hmean`.
        checkpoint: its weights.
    """

    status: Literal["finished", "stopped", "preempted"]
    epochs: int
    kept_epoch: int
    kept_hmean: float
    checkpoint: Path
