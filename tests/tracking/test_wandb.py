"""W&B as a tracker: its real client, in its own process, and a server that answers as W&B's."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Never, Protocol

import cv2
import numpy as np
import psutil
import pytest

from detector.config.loading import load_config
from detector.process_group import ProcessGroup
from detector.tracking import wandb
from detector.tracking.opening import open_tracker
from detector.tracking.tracker import UNTRACKED, Outcome
from detector.tracking.wandb import wait_for_trackers
from tests.sweep.servers import small_disk
from tests.sweep.wandb_server import Run, WandbServer, wandb_environment

CONFIG = load_config(["tracker=wandb", "preset=quickstart"])
ARRIVES_S = 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WandbServer]:
    with wandb_environment(tmp_path) as server:
        yield server
        for child in wandb._children:
            ProcessGroup(child).kill()
            child.wait()
        wandb._children.clear()


class Track(Protocol):
    """Tracks a training that ends like this; `during` is called after each epoch."""

    def __call__(
        self, epochs: int, outcome: Outcome = ..., during: Callable[[int], object] = ...
    ) -> None: ...


@pytest.fixture
def track(tmp_path: Path) -> Track:
    """Tracks a training's epochs up to the given one, as one that is resumed does."""
    picture = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    model = tmp_path / "model.onnx"
    model.write_bytes(b"a model")

    def train(
        epochs: int, outcome: Outcome = "finished", during: Callable[[int], object] = int
    ) -> None:
        with open_tracker(CONFIG, tmp_path / "run", "abc/trials/3", "receipts") as tracker:
            for epoch in range(1, epochs + 1):
                tracker.epoch(epoch, {"val/hmean": epoch / 10}, lambda: {"page 7": picture})
                during(epoch)
            if outcome == "finished":
                tracker.model(lambda: model)
            tracker.end(outcome)

    return train


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ARRIVES_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def epochs_of(run: Run) -> list[int]:
    return [row["epoch"] for row in run.history]


def test_a_resumed_training_goes_on_in_its_run_and_no_epoch_stands_there_twice(
    server: WandbServer, track: Track, capfd: pytest.CaptureFixture[str]
) -> None:
    track(2, "preempted")
    assert wait_for_trackers(ARRIVES_S)
    (run,) = server.runs.values()
    assert (run.state, epochs_of(run)) == ("preempted", [1, 2])
    assert '"side":768' in run.config

    track(3)
    assert wait_for_trackers(ARRIVES_S)
    assert list(server.runs.values()) == [run]
    assert (run.state, epochs_of(run)) == ("finished", [1, 2, 3])
    assert [row["val/hmean"] for row in run.history] == [0.1, 0.2, 0.3]
    assert run.history[2]["validation"]["captions"] == ["page 7"]
    (artifact,) = server.artifacts
    assert (artifact.files, artifact.is_committed) == (["model.onnx"], True)
    assert server.uploads["model.onnx"] == b"a model"
    assert f"W&B: tracked at {server.url}/team/receipts/runs/{run.name}" in capfd.readouterr().out


@pytest.mark.slow
def test_a_killed_training_leaves_a_run_that_has_failed(server: WandbServer, track: Track) -> None:
    def is_killed(epoch: int) -> Never:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        track(1, during=is_killed)
    assert wait_for_trackers(ARRIVES_S)
    (run,) = server.runs.values()
    assert (run.state, epochs_of(run)) == ("failed", [1])


@pytest.mark.slow
def test_offline_each_epoch_is_kept_once_and_wandb_sync_sends_all(
    server: WandbServer,
    track: Track,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as offline:
        offline.setenv("WANDB_MODE", "offline")
        offline.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        offline.delenv("WANDB_API_KEY")
        track(2, "preempted")
        # Files are named by the second in which the client began with them.
        assert wait_for_trackers(ARRIVES_S)
        track(3)
        assert wait_for_trackers(ARRIVES_S)
    kept = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert f"W&B: `wandb sync {kept[0]}` sends what is tracked" in capfd.readouterr().out
    for folder in kept:
        subprocess.run([sys.executable, "-m", "wandb", "sync", folder], check=True)
    (run,) = server.runs.values()
    assert epochs_of(run) == [1, 2, 3]
    assert server.uploads["model.onnx"] == b"a model"


def test_a_server_that_is_gone_at_the_start_leaves_the_run_in_files(
    server: WandbServer,
    track: Track,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    track(2)
    assert wait_for_trackers(ARRIVES_S)
    said = capfd.readouterr().out
    assert "no run can be begun there, so that it is kept in files" in said
    assert f"`wandb sync {tmp_path}/wandb/offline-run-" in said


def test_a_server_that_goes_away_or_hangs_holds_up_no_training(
    server: WandbServer, track: Track, tmp_path: Path
) -> None:
    def the_server_goes_away(epoch: int) -> None:
        if epoch == 1:
            wait_until(lambda: "file_stream" in server.calls)
            server.hangs.set()

    track(4, during=the_server_goes_away)
    assert not wait_for_trackers(0)
    assert len(epochs_of(next(iter(server.runs.values())))) < 4
    server.hangs.clear()
    assert wait_for_trackers(ARRIVES_S)
    assert epochs_of(next(iter(server.runs.values()))) == [1, 2, 3, 4]


def test_a_client_that_hangs_ends_the_tracking_and_nothing_else(
    server: WandbServer,
    track: Track,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(wandb, "_SEND_S", 0.1)
    monkeypatch.setattr(wandb, "_draw", lambda pictures: {"page": bytes(100_000)})

    def the_client_hangs(epoch: int) -> None:
        if epoch == 1:
            client = psutil.Process(wandb._children[0].pid)
            client.suspend()
            wait_until(lambda: client.status() == psutil.STATUS_STOPPED)

    track(4, during=the_client_hangs)
    assert "W&B: nothing more is tracked" in capfd.readouterr().out


def test_a_full_disk_costs_the_tracking_and_nothing_else(
    server: WandbServer,
    track: Track,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with small_disk(1) as disk:
        if disk is None:
            pytest.skip("the tests may not mount a disk")
        (disk / "filler").write_bytes(bytes(1 << 20))
        monkeypatch.setenv("WANDB_DIR", str(disk))
        track(2)
        assert wait_for_trackers(ARRIVES_S)
        said = capfd.readouterr().out
        assert "No space left on device" in said


@pytest.mark.slow
def test_a_key_that_is_missing_is_a_word_in_the_log(
    server: WandbServer,
    track: Track,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    track(1)
    assert wait_for_trackers(ARRIVES_S)
    assert "No API key configured" in capfd.readouterr().out


def test_without_a_tracker_nothing_is_drawn_exported_or_started(tmp_path: Path) -> None:
    def never() -> Never:
        raise AssertionError

    with open_tracker(load_config([]), tmp_path, "name", "group") as tracker:
        tracker.epoch(1, {"val/hmean": 0.5}, never)
        tracker.model(never)
        tracker.end("finished")
    assert not list(tmp_path.iterdir())


def test_of_several_processes_that_share_a_training_the_first_alone_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with open_tracker(CONFIG, tmp_path, "name", "group") as tracker:
        assert tracker is UNTRACKED


def test_the_tracker_decides_no_result() -> None:
    assert load_config(["tracker=wandb"]).digest() == load_config([]).digest()
