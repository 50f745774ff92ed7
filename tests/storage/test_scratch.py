"""Temporary folders go with their process, and after SIGKILL with the next start."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from detector.storage.scratch import PREFIX

TAKES_TURNS = """
import sys
from pathlib import Path
from detector.storage.scratch import scratch_lock
counter = Path(sys.argv[1])
for _ in range(200):
    with scratch_lock("run-1"):
        number = int(counter.read_text(encoding="utf-8"))
        counter.write_text(str(number + 1), encoding="utf-8")
"""
HOLDS_ONE = """
from detector.storage.scratch import scratch_folder
with scratch_folder("models") as folder:
    (folder / "below").mkdir()
    (folder / "below" / "model.onnx").write_bytes(b"much")
    print(folder, flush=True)
    input()
"""


@contextmanager
def holder(temporary: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process that uses such a folder until it reads a line, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary)},
    )
    assert process.stdout is not None
    with process:
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_the_next_start_removes_the_folder_of_a_killed_process_alone(tmp_path: Path) -> None:
    mine = tmp_path / "detsweep-mine"
    mine.mkdir()
    with holder(tmp_path) as (living, used), holder(tmp_path) as (killed, forgotten):
        assert used.name.startswith(f"{PREFIX}models-")
        killed.kill()
        killed.wait()
        assert (forgotten / "below" / "model.onnx").exists()
        with holder(tmp_path) as (_, another):
            assert set(tmp_path.iterdir()) == {mine, used, another}
        living.communicate("\n")
        assert not used.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_of_such_a_name_is_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "work").write_bytes(b"of weeks")
    (tmp_path / f"{PREFIX}models-0").symlink_to(mine)
    with holder(tmp_path):
        assert (mine / "work").exists()


def test_processes_hold_a_lock_in_turns_and_leave_nothing(tmp_path: Path) -> None:
    temporary, counter = tmp_path / "temporary", tmp_path / "counter"
    temporary.mkdir()
    counter.write_text("0", encoding="utf-8")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TAKES_TURNS, str(counter)],
            env={**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary)},
        )
        for _ in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert counter.read_text(encoding="utf-8") == "600"
    assert sys.platform == "win32" or not list(temporary.iterdir())
