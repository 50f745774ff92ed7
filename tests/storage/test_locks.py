"""Locks on files, as each system has them: what waits in line, and what asks again."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from detector.storage import locks

KINDS = pytest.mark.parametrize("kind", ["locked", "locked_beside"])

ADDS = """
import sys
from pathlib import Path
from detector.storage.locks import {kind} as lock
file = Path(sys.argv[1])
for _ in range(100):
    with lock(Path(sys.argv[2])):
        number = int(file.read_text(encoding="utf-8"))
        file.write_text(str(number + 1), encoding="utf-8")
"""
HOLDS = """
import sys, time
from pathlib import Path
from detector.storage.locks import {kind} as lock
with lock(Path(sys.argv[1])):
    Path(sys.argv[2]).touch()
    time.sleep(600)
"""


@KINDS
def test_two_processes_never_hold_it_at_once(kind: str, tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("0", encoding="utf-8")
    program = ADDS.format(kind=kind)
    adding = [
        subprocess.Popen([sys.executable, "-c", program, str(number), str(tmp_path / "lock")])
        for _ in range(3)
    ]
    assert [process.wait() for process in adding] == [0, 0, 0]
    assert number.read_text(encoding="utf-8") == "300"


@KINDS
def test_the_lock_of_a_killed_process_is_free(kind: str, tmp_path: Path) -> None:
    file, held = tmp_path / "lock", tmp_path / "held"
    program = HOLDS.format(kind=kind)
    holder = subprocess.Popen([sys.executable, "-c", program, str(file), str(held)])
    while not held.exists():
        time.sleep(0.01)
    holder.kill()
    holder.wait()
    with getattr(locks, kind)(file):
        pass


@KINDS
def test_what_the_file_holds_stays(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "journal"
    file.write_bytes(b"a line\n")
    with getattr(locks, kind)(file):
        assert file.read_bytes() == b"a line\n"
    assert file.read_bytes() == b"a line\n"
