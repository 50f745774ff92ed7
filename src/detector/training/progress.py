"""How far a training has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detector.config.metrics import METRIC
from detector.training.keeping import EpochChoice
from detector.training.result import EpochMetrics, Status, TrainResult, trained_before
from detector.wording import counted


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        history: a row for each finished epoch: its number as `epoch`, and its metrics.
        choice: which epoch's weights are kept.
        step_in_epoch: optimizer steps taken of the epoch that is not finished.
        loss_sum: the sum of their losses.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    choice: EpochChoice = field(default_factory=EpochChoice)
    step_in_epoch: int = 0
    loss_sum: float = 0.0

    @property
    def next_epoch(self) -> int:
        """The first epoch that is not finished, from 1."""
        return len(self.history) + 1

    @property
    def mean_loss(self) -> float:
        """Of the steps taken in the epoch that is not finished."""
        return self.loss_sum / self.step_in_epoch

    @property
    def finished(self) -> list[EpochMetrics]:
        """The metrics of the finished epochs."""
        return [as_metrics(row) for row in self.history]

    def add_step(self, loss: float) -> None:
        """One more optimizer step is taken."""
        self.loss_sum += loss
        self.step_in_epoch += 1

    def add_epoch(self, row: dict[str, float]) -> None:
        """The epoch is finished; `row` is what the history holds of it."""
        self.history.append(row)
        self.step_in_epoch, self.loss_sum = 0, 0.0

    def where_it_was(self, max_epochs: int) -> str:
        """A line for people, when a training goes on."""
        done = len(self.history)
        if done == max_epochs:
            return trained_before(done)
        steps = f" and {counted(self.step_in_epoch, 'step')}" if self.step_in_epoch else ""
        return f"resumed after epoch {done}{steps}"

    def result(self, status: Status, checkpoint: Path) -> TrainResult:
        """How the training ended; `checkpoint` has the weights that are kept."""
        kept = self.choice.kept
        return TrainResult(
            status=status,
            epochs=len(self.history),
            kept_epoch=kept,
            kept_hmean=self.history[kept - 1][METRIC] if kept else 0.0,
            checkpoint=checkpoint,
        )

    def state_dict(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return {
            "history": self.history,
            "choice": self.choice.state_dict(),
            "step_in_epoch": self.step_in_epoch,
            "loss_sum": self.loss_sum,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; other keys are left alone."""
        self.history = state["history"]
        self.choice.load_state_dict(state["choice"])
        self.step_in_epoch, self.loss_sum = state["step_in_epoch"], state["loss_sum"]


def as_metrics(row: Mapping[str, float]) -> EpochMetrics:
    """A row of the history as its reader gets it."""
    return EpochMetrics(int(row["epoch"]), {k: v for k, v in row.items() if k != "epoch"})
