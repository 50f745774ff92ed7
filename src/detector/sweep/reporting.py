"""What a program tells of its epochs, and how the agent that runs it reads that.

Both sides share one file of JSON lines, named by `DETSWEEP_METRICS`, so that a program in any
language can write it: `{"metrics": {"val/loss": 0.3}, "epoch": 1}`, `epoch` being optional.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsFloat

METRICS_FILE = "DETSWEEP_METRICS"
"""The environment variable that names the file."""


def log(metrics: Mapping[str, SupportsFloat], epoch: int | None = None) -> None:
    """Tell the sweep of finished epochs. Outside of a sweep this does nothing.

    The agent may end the program with SIGTERM after any call, when the trial is stopped early.

    Args:
        metrics: numbers by name, among them the metric that the sweep file names. NaN is allowed,
            and counts as no value.
        epoch: its number, from 1. Without it each call that holds the sweep's metric is the next
            epoch; a program that goes on from a checkpoint has to give it.

    Raises:
        TypeError: a metric that is no number.
    """
    path = os.environ.get(METRICS_FILE)
    if path is None:
        return
    line = {"metrics": {name: float(value) for name, value in metrics.items()}, "epoch": epoch}
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_history(text: str) -> dict[int, dict[str, float]]:
    r"""The metrics of each epoch, by number, as a trial's `metrics.jsonl` holds them.

    Of an epoch that stands there twice the later counts. A last line that was cut does not.

    >>> read_history('{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "lo')
    {1: {'loss': 0.5}}
    """
    rows = [json.loads(line) for line in text.split("\n")[:-1]]
    return {int(row.pop("epoch")): row for row in rows}


def write_history(history: Mapping[int, Mapping[str, float]]) -> str:
    """What `read_history` reads."""
    rows = ({**metrics, "epoch": epoch} for epoch, metrics in sorted(history.items()))
    return "".join(json.dumps(row) + "\n" for row in rows)


@dataclass(frozen=True)
class ReportedEpoch:
    """One epoch as a program reported it: its number, from 1, and its metrics."""

    epoch: int
    metrics: Mapping[str, float]


class MetricsReader:
    """Follows the file that a program reports to.

    A line without an epoch is the next epoch if it holds the sweep's metric, as W&B counts; else it
    is of the middle of one and passed over. So is a line that cannot be read.
    """

    def __init__(self, path: Path, metric: str):
        self._path, self._metric = path, metric
        self._offset = 0
        self._epoch = 0

    def new_epochs(self) -> Iterator[ReportedEpoch]:
        """What came since the last call. A line that is not complete yet is left for the next."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                reported = self._parse(line)
                if reported is not None:
                    self._epoch = reported.epoch
                    yield reported

    def _parse(self, line: bytes) -> ReportedEpoch | None:
        try:
            content = json.loads(line)
            metrics = {str(name): float(value) for name, value in content["metrics"].items()}
            epoch = content.get("epoch")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return None
        if isinstance(epoch, int) and epoch > 0:
            return ReportedEpoch(epoch, metrics)
        return ReportedEpoch(self._epoch + 1, metrics) if self._metric in metrics else None
