import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.sweep import log
from detector.sweep.reporting import METRICS_FILE, MetricsReader


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "reported.jsonl"
    monkeypatch.setenv(METRICS_FILE, str(path))
    return path


def read(file: Path) -> list[tuple[int, Mapping[str, float]]]:
    return [(epoch.epoch, epoch.metrics) for epoch in MetricsReader(file, "loss").new_epochs()]


def test_what_a_program_logs_is_read_as_epochs(file: Path) -> None:
    log({"loss": 0.5})
    log({"loss": 0.25, "accuracy": 1})
    assert read(file) == [(1, {"loss": 0.5}), (2, {"loss": 0.25, "accuracy": 1.0})]


def test_a_program_that_goes_on_from_a_checkpoint_gives_the_epoch(file: Path) -> None:
    log({"loss": 0.5}, epoch=7)
    log({"loss": 0.4})
    assert [epoch for epoch, _ in read(file)] == [7, 8]


def test_what_is_logged_without_the_metric_is_of_the_middle_of_an_epoch(file: Path) -> None:
    log({"step_loss": 3.0})
    log({"loss": 0.5})
    assert read(file) == [(1, {"loss": 0.5})]


def test_nan_is_reported_as_it_is(file: Path) -> None:
    log({"loss": math.nan})
    ((epoch, metrics),) = read(file)
    assert epoch == 1
    assert math.isnan(metrics["loss"])


def test_outside_of_a_sweep_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(METRICS_FILE, raising=False)
    log({"loss": 0.5})
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_number_is_refused(file: Path) -> None:
    with pytest.raises(TypeError):
        log({"loss": [1, 2]})  # type: ignore[dict-item]  # what a program may do


def test_a_reader_gives_each_epoch_once_and_waits_for_the_end_of_a_line(file: Path) -> None:
    reader = MetricsReader(file, "loss")
    assert list(reader.new_epochs()) == []
    log({"loss": 0.5})
    assert len(list(reader.new_epochs())) == 1
    line = json.dumps({"metrics": {"loss": 0.4}}) + "\n"
    with file.open("a", encoding="utf-8") as beginning:
        beginning.write(line[:9])
    assert list(reader.new_epochs()) == []
    with file.open("a", encoding="utf-8") as rest:
        rest.write(line[9:])
    assert [epoch.epoch for epoch in reader.new_epochs()] == [2]


@given(st.binary(max_size=200))
def test_whatever_stands_in_the_file_does_not_stop_the_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.mktemp("reported") / "reported.jsonl"
    file.write_bytes(content + b'\n{"metrics": {"loss": 0.5}, "epoch": 3}\n')
    assert read(file)[-1] == (3, {"loss": 0.5})
