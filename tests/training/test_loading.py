"""Processes that load data and fail: a training says so, and does not wait for them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from detector.config.loading import apply_params
from detector.config.schema import Config
from detector.console import ERROR_EXIT_CODE
from detector.data.folds import Folds
from detector.errors import TrainingError
from detector.training.run import train

if sys.platform == "win32":
    pytest.skip("Windows has neither SIGKILL nor /dev/shm", allow_module_level=True)


def test_a_process_that_is_killed_ends_the_training_with_a_line(
    tiny: Config, folds: Folds, tmp_path: Path
) -> None:
    of_others = set(psutil.Process().children())

    def kill_one(_epoch: int, done: int, _of: int) -> None:
        if done == 1:
            one = next(child for child in psutil.Process().children() if child not in of_others)
            one.send_signal(signal.SIGKILL)

    config = apply_params(tiny, {"data.num_workers": 2, "data.crops_per_page": 40})
    with pytest.raises(TrainingError, match="a process that loads data has failed: DataLoader"):
        train(config, folds, 0, tmp_path, lambda _: True, on_step=kill_one)


def test_shared_memory_that_is_full_ends_the_training_with_a_line(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small /dev/shm can be mounted by root alone")
    small = 'mount -t tmpfs -o size=100k tmpfs /dev/shm || exit 99; exec "$@"'
    program = [sys.executable, "-m", "tests.training.loading", str(tmp_path)]
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small, "sh", *program],
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    if ended.returncode == 99:
        pytest.skip("nothing can be mounted here")
    assert ended.returncode == ERROR_EXIT_CODE, ended.stderr
    assert "a process that loads data has failed: RuntimeError: unable to" in ended.stderr
    assert "No space left on device" in ended.stderr
