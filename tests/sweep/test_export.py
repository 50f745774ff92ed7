"""A sweep as tables, and the tables as files."""

import csv
import io
import math
import sys

import pytest

from detector.errors import SweepError
from detector.sweep.export import Table, encode, epoch_table, trial_table
from detector.sweep.trial import TrialRecord

TRIALS = [
    TrialRecord(
        0,
        {"lr": 0.1, "name": "a,b"},
        "stopped",
        {1: 0.5, 2: 0.4},
        agent="a1",
        started=0.0,
        ended=61.5,
        reason="early termination after epoch 2",
        epoch=2,
    ),
    TrialRecord(1, {"lr": "auto", "amp": True}, "running", attempts=2),
]


def read_back(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(encode(table, "x.csv").decode())))


def test_a_trial_is_a_row_with_each_parameter_in_a_column_of_its_own() -> None:
    stopped, running = read_back(trial_table(TRIALS, "maximize", "score"))
    assert stopped["reason"] == "early termination after epoch 2"
    assert (stopped["best_epoch"], stopped["best_value"], stopped["epochs"]) == ("1", "0.5", "2")
    assert (stopped["started"], stopped["seconds"]) == ("1970-01-01T00:00:00.000+00:00", "61.5")
    assert (stopped["params.lr"], stopped["params.name"]) == ("0.1", "a,b")
    assert (running["attempts"], running["ended"], running["best_value"]) == ("2", "", "")
    assert (running["params.lr"], running["params.amp"], running["params.name"]) == (
        "auto",
        "true",
        "",
    )


def test_an_epoch_is_a_row_with_every_metric_that_is_known_of_it() -> None:
    histories = {0: {2: {"score": 0.4, "loss": 3.0}, 3: {"score": math.nan, "loss": 2.0}}}
    rows = read_back(epoch_table(TRIALS, "score", histories))
    assert [tuple(row.values()) for row in rows] == [
        ("0", "1", "0.5", ""),
        ("0", "2", "0.4", "3.0"),
        ("0", "3", "nan", "2.0"),
    ]
    assert list(rows[0]) == ["trial", "epoch", "metrics.score", "metrics.loss"]


def test_a_parameter_that_is_named_like_a_column_is_not_taken_for_it() -> None:
    (row,) = read_back(trial_table([TrialRecord(7, {"trial": 3}, "waiting")], "minimize", "loss"))
    assert (row["trial"], row["params.trial"]) == ("7", "3")


def test_parquet_keeps_the_types_and_takes_mixed_values_as_json() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="detsweep[parquet] is not installed")
    content = encode(trial_table(TRIALS, "maximize", "score"), "trials.parquet")
    rows = parquet.read_table(io.BytesIO(content)).to_pylist()
    assert [row["trial"] for row in rows] == [0, 1]
    assert [row["params.lr"] for row in rows] == ["0.1", '"auto"']
    assert rows[0]["ended"].timestamp() == 61.5


def test_parquet_without_pyarrow_is_an_error_with_the_command_that_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SweepError, match=r"pip install 'detsweep\[parquet\]'"):
        encode(trial_table(TRIALS, "maximize", "score"), "trials.parquet")
