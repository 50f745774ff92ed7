"""A fold that two processes train, as torchrun starts them in a TrainJob's pod."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detector.data.synthetic.drawing import draw_receipts
from detector.errors import TrainingError
from detector.steps.fold import train_fold
from detector.steps.prepare import prepare
from detector.steps.run import Run
from detector.steps.torchrun import run_torchrun
from tests.tiny_run import chosen_outcome, overrides

ROOT = Path(__file__).parents[2]
SWEEP = "abc"


def prepared(folder: Path, epochs: int) -> str:
    """A store whose best configuration is chosen."""
    draw_receipts(folder / "data", train=9, held_out=3, seed=1)
    store = str(folder / "run")
    words = [*overrides(epochs), "data.crop_size=64", "data.crops_per_page=1"]
    run = Run(store, SWEEP)
    prepare(run, [*words, f"data.path={folder / 'data'}"])
    run.write_outcome(chosen_outcome(SWEEP, {"models.optimizer.lr": 0.002}))
    return store


@pytest.mark.timeout(240)
def test_one_process_is_the_step_and_the_other_trains_with_it(tmp_path: Path) -> None:
    store = prepared(tmp_path, epochs=1)
    run = Run(store, SWEEP)

    def train() -> str:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command = [*torchrun, "--nproc-per-node=2", "-m", "detector.steps.fold_process"]
        done = subprocess.run(
            [*command, store, SWEEP, "1"],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    printed: list[str] = []
    train_fold(run, 1, elsewhere=lambda: printed.append(train()))
    assert [lines.count("epoch 1/1") for lines in printed] == [1]
    train_fold(run, 1, elsewhere=lambda: printed.append(train()))
    assert len(printed) == 1, "it is trained already"
    result = run.fold(1).trained
    assert (result.fold, result.epoch, result.reused_trial) == (1, 1, None)
    assert "fold 1 is trained already" in train()


@pytest.mark.timeout(240)
def test_processes_that_are_lost_are_started_again_as_long_as_they_get_further(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = prepared(tmp_path, epochs=3)
    command = [sys.executable, "-m", "detector.steps.fold_process", store, SWEEP, "1"]
    calls: list[str] = []

    def train_an_epoch() -> None:
        calls.append("")
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8"
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                calls[-1] += line
                if line.startswith("epoch ") and len(calls) < 3:
                    process.kill()
        if process.returncode:
            raise TrainingError("the processes were lost")

    result = train_fold(Run(store, SWEEP), 1, elsewhere=train_an_epoch)
    assert result.epoch in (1, 2, 3)
    assert [re.findall(r"epoch (\d)/3", lines) for lines in calls] == [["1"], ["2"], ["3"]]
    said = capsys.readouterr().out
    assert "the processes were lost. Epoch 1 was finished before that: started again" in said


def test_processes_that_get_no_further_are_given_up(tmp_path: Path) -> None:
    store = prepared(tmp_path, epochs=1)

    def fail() -> None:
        raise TrainingError("the processes were lost")

    with pytest.raises(TrainingError, match="the processes were lost"):
        train_fold(Run(store, SWEEP), 1, elsewhere=fail)
    with pytest.raises(TrainingError, match="fold 1 was left after 0 of 1 epochs"):
        train_fold(Run(store, SWEEP), 1, elsewhere=lambda: None)


def node(store: str, rank: int, port: int, out: Path) -> "subprocess.Popen[str]":
    """One of two nodes, as the Trainer starts it."""
    pet = {"NNODES": "2", "NPROC_PER_NODE": "1", "NODE_RANK": str(rank)}
    pet |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    environment = {**os.environ, **{f"PET_{name}": value for name, value in pet.items()}}
    command = [sys.executable, "-m", "detector.steps.fold_node", store, SWEEP, "1"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=out.open("a", encoding="utf-8"),
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rank", [0, 1])
def test_all_nodes_end_as_asked_to_if_one_of_them_is(tmp_path: Path, rank: int) -> None:
    """One that ended well would not be there when the others are started again."""
    store = prepared(tmp_path, epochs=40)
    out = tmp_path / "out"
    port = free_port()
    nodes = [node(store, each, port, out) for each in (0, 1)]
    while "epoch 1/40" not in out.read_text(encoding="utf-8"):
        assert not any(each.poll() for each in nodes), out.read_text(encoding="utf-8")
        time.sleep(0.1)
    nodes[rank].terminate()
    assert [each.wait() for each in nodes] == [143, 143], out.read_text(encoding="utf-8")


@pytest.mark.timeout(240)
def test_a_node_whose_process_crashed_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "detector.steps.fold_node", str(tmp_path), SWEEP, "1"]
    with out.open("w") as written:
        done = subprocess.run(command, cwd=ROOT, stdout=written, stderr=written, check=False)
    assert done.returncode == 1
    assert "fold_process FAILED" in out.read_text(encoding="utf-8")


@pytest.mark.timeout(240)
def test_a_pods_own_gpus_train_a_fold(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = prepared(tmp_path, epochs=1)
    run = Run(store, SWEEP)
    result = train_fold(run, 1, lambda: run_torchrun(run, 1, 2))
    assert result.epoch == 1
    said = capfd.readouterr()
    assert "Starting with 2 processes" in said.err
    assert said.out.count("epoch 1/1") == 1
