"""A sweep as two tables for other programs: a row for each trial, and a row for each epoch.

Plain rows, and how they are written as CSV or Parquet; where the metrics come from is the caller's
matter. Parameters and metrics have columns of their own (`params.…`, `metrics.…`, as MLflow names
them), which no other column can be taken for.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from detector.errors import SweepError
from detector.search.hyperband import Goal
from detector.sweep.trial import TrialRecord

History = Mapping[int, Mapping[str, float]]
"""The metrics of a trial's epochs, by epoch from 1."""

PARQUET = ".parquet"


@dataclass(frozen=True)
class Table:
    """Rows by column name. A value that a row lacks is None, and empty in CSV."""

    columns: Sequence[str]
    rows: Sequence[Mapping[str, object]]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, object]], columns: Iterable[str]) -> "Table":
        """`columns` first, then those that only the rows name, as they come up."""
        named = dict.fromkeys([*columns, *(column for row in rows for column in row)])
        return cls(tuple(named), rows)


def trial_table(trials: Sequence[TrialRecord], goal: Goal, metric: str) -> Table:
    """A row for each trial, by number. Times are UTC, `seconds` counts from the first start to the
    end, waiting for an agent included."""
    fixed = (
        "trial",
        "state",
        "reason",
        "attempts",
        "agent",
        "started",
        "ended",
        "seconds",
        "epochs",
        "metric",
        "best_epoch",
        "best_value",
    )
    return Table.of([_trial_row(trial, goal, metric) for trial in trials], fixed)


def _trial_row(trial: TrialRecord, goal: Goal, metric: str) -> dict[str, object]:
    best_epoch, best_value = trial.best(goal) or (None, None)
    took = None if trial.started is None or trial.ended is None else trial.ended - trial.started
    return {
        "trial": trial.number,
        "state": trial.state,
        "reason": trial.reason,
        "attempts": trial.attempts,
        "agent": trial.agent,
        "started": _moment(trial.started),
        "ended": _moment(trial.ended),
        "seconds": took,
        "epochs": trial.epoch,
        "metric": metric,
        "best_epoch": best_epoch,
        "best_value": best_value,
        **{f"params.{name}": value for name, value in trial.params.items()},
    }


def epoch_table(
    trials: Sequence[TrialRecord], metric: str, histories: Mapping[int, History]
) -> Table:
    """A row for each finished epoch of each trial, in order.

    Args:
        metric: the sweep's, whose values the trials know themselves.
        histories: what else is known, by trial number.
    """
    rows = [
        {"trial": trial.number, "epoch": epoch, **_metrics(trial, epoch, metric, known)}
        for trial in trials
        for known in [histories.get(trial.number, {})]
        for epoch in sorted({*trial.curve, *known})
    ]
    return Table.of(rows, ("trial", "epoch", f"metrics.{metric}"))


def _metrics(
    trial: TrialRecord, epoch: int, metric: str, known: History
) -> dict[str, float | None]:
    values = {metric: trial.curve.get(epoch), **known.get(epoch, {})}
    return {f"metrics.{name}": value for name, value in values.items()}


def encode(table: Table, file_name: str) -> bytes:
    """The table as Parquet where the file's name ends so, and as CSV otherwise.

    Raises:
        SweepError: Parquet, and pyarrow is not installed.
    """
    return _parquet(table) if file_name.endswith(PARQUET) else _csv(table)


def _csv(table: Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_as_text(row.get(column)) for column in table.columns])
    return text.getvalue().encode()


def _as_text(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return json.dumps(value) if isinstance(value, list | dict | bool) else value


def _parquet(table: Table) -> bytes:
    try:
        # An extra, which nothing else needs.
        pyarrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise SweepError(
            "pyarrow, which writes Parquet, is not installed",
            remedy="pip install 'detsweep[parquet]', or name a .csv file",
        ) from None

    def column(name: str) -> Any:
        values = [row.get(name) for row in table.rows]
        try:
            return pyarrow.array(values)
        except pyarrow.ArrowException:  # of several kinds, such as 0.5 and "auto"
            return pyarrow.array([None if v is None else json.dumps(v) for v in values])

    written = io.BytesIO()
    parquet.write_table(pyarrow.table({name: column(name) for name in table.columns}), written)
    return written.getvalue()


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
