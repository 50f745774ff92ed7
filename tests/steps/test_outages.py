"""A run store that is away, and a disk that is full, while agents work: both are waited for, and
what stays away is held against no trial."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs

from detector.console import LOST_EXIT_CODE
from detector.steps.run import Run
from detector.sweep.opening import open_backend
from detector.sweep.protocol import Sweep
from detector.sweepfile.spec import read_sweep
from tests.seaweedfs import Seaweedfs, running_seaweedfs
from tests.steps.pausable_agent import EPOCHS, ORIGIN, epoch_of
from tests.sweep.servers import filled, small_disk

LEASE_S = 60.0
TRIALS = 6
OUTAGE_S = float(os.environ.get("DETSWEEP_OUTAGE_SECONDS", "3"))
END_S = 120 + OUTAGE_S

SWEEP = (
    f"method: random\nrun_cap: {TRIALS}\nmetric: {{name: score, goal: maximize}}\n"
    "parameters: {x: {min: 0, max: 1}}\n"
)


class Agents:
    """Two agents of one sweep, as processes of their own."""

    def __init__(self, store: str, folder: Path, **environment: str):
        self.store, self.folder = store, folder
        self.environment = {**os.environ, **environment}
        self.backend = f"sqlite:///{folder}/sweep.db"
        self.sweep: Sweep = open_backend(self.backend, LEASE_S).create(read_sweep(SWEEP, "sweep"))
        self.output = folder / "output"

    @contextlib.contextmanager
    def at_work(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        """While the block runs, from when they have trained a little."""
        program = [sys.executable, "-m", "tests.steps.pausable_agent"]
        words = [self.store, self.backend, self.sweep.id]
        with self.output.open("ab") as file:
            agents = [
                subprocess.Popen(
                    [*program, *words, name, str(LEASE_S)],
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                )
                for name in "ab"
            ]
        try:
            self.wait_for_epochs(2)
            yield agents
        finally:
            for agent in agents:
                agent.kill()
                agent.wait()

    def wait_for_epochs(self, epochs: int) -> None:
        until = time.monotonic() + END_S
        while sum(trial.epoch for trial in self.sweep.trials()) < epochs:
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)

    def codes(self, agents: list[subprocess.Popen[bytes]]) -> list[int]:
        """How they ended."""
        return [agent.wait(END_S) for agent in agents]

    def said(self) -> str:
        return self.output.read_text("utf-8")

    def check(self, attempts: int = 1) -> None:
        """That every trial was trained to its end, and none was blamed."""
        for trial in self.sweep.trials():
            assert (trial.state, trial.epoch) == ("finished", EPOCHS), self.said()
            assert trial.reason is None
            assert trial.attempts <= attempts
            with Run(self.store, self.sweep.id).trial(trial.number).attempt(ORIGIN) as folder:
                assert epoch_of(folder.path) == EPOCHS


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seaweedfs]:
    """A server of the test's own, which it may kill."""
    (tmp_path / "weed").mkdir()
    with running_seaweedfs(tmp_path / "weed") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        # fsspec keeps file systems by their arguments, which do not name the endpoint.
        s3fs.S3FileSystem.clear_instance_cache()
        yield server
        s3fs.S3FileSystem.clear_instance_cache()


def test_a_store_that_is_away_for_a_while_costs_no_trial(s3: Seaweedfs, tmp_path: Path) -> None:
    agents = Agents(f"s3://{s3.create_bucket('away')}/run", tmp_path)
    with agents.at_work() as running:
        s3.kill()
        time.sleep(OUTAGE_S)
        s3.start()
        assert agents.codes(running) == [0, 0], agents.said()
    assert f"waiting for the run store {agents.store}, up to 300 s" in agents.said()
    agents.check()


def test_a_store_that_stays_away_ends_agents_and_no_trial(s3: Seaweedfs, tmp_path: Path) -> None:
    store = f"s3://{s3.create_bucket('lost')}/run"
    agents = Agents(store, tmp_path, DETSWEEP_PATIENCE_SECONDS="1")
    with agents.at_work() as running:
        s3.kill()
        assert agents.codes(running) == [LOST_EXIT_CODE] * 2, agents.said()
    assert all(trial.state in ("finished", "waiting") for trial in agents.sweep.trials())
    s3.start()
    with agents.at_work() as running:
        assert agents.codes(running) == [0, 0], agents.said()
    agents.check(attempts=2)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk that the test can fill."""
    with small_disk(8) as path:
        if path is None:
            pytest.skip("a disk can be mounted by root alone")
        yield path


@pytest.mark.parametrize("full", ["store", "scratch"])
def test_a_full_disk_is_waited_for_and_costs_no_trial(
    full: str, disk: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = str(disk)
    if full == "scratch":  # where a training works that is kept at an object store
        s3: Seaweedfs = request.getfixturevalue("s3")
        store = f"s3://{s3.create_bucket('full')}/run"
    agents = Agents(store, tmp_path, TMPDIR=str(disk))
    with agents.at_work() as running:
        with filled(disk):
            time.sleep(OUTAGE_S)
        assert agents.codes(running) == [0, 0], agents.said()
    assert "No space left on device" in agents.said()
    agents.check()
    assert full == "store" or list(disk.iterdir()) == []


def test_a_disk_that_stays_full_ends_agents_and_no_trial(disk: Path, tmp_path: Path) -> None:
    agents = Agents(str(disk), tmp_path, DETSWEEP_PATIENCE_SECONDS="1")
    with agents.at_work() as running, filled(disk):
        assert agents.codes(running) == [LOST_EXIT_CODE] * 2, agents.said()
    with agents.at_work() as running:
        assert agents.codes(running) == [0, 0], agents.said()
    agents.check(attempts=2)
