"""Kernels: compiled once on a machine, and spoken of when they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="detsweep[train] is not installed")

USE = """
import numpy as np
from detector.geometry.outlines import length, signed_area
square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]])
print(signed_area(square), length(square, True))
"""


def use_kernels(cache: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", USE],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )


def test_compiling_is_said_once_and_on_stderr(tmp_path: Path) -> None:
    first, second = use_kernels(tmp_path), use_kernels(tmp_path)
    assert first.stdout == second.stdout == "4.0 8.0\n"
    assert first.stderr.count("compiling") == 1
    assert second.stderr == ""


def test_interpreted_they_give_the_same(tmp_path: Path) -> None:
    done = use_kernels(tmp_path, NUMBA_DISABLE_JIT="1")
    assert (done.stdout, done.stderr) == ("4.0 8.0\n", "")
