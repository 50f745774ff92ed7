"""Processes that end with all that they have started, with process groups and without."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from detector.process_group import OWN_GROUP, ProcessGroup, ProcessTree

STARTS_ANOTHER = """
import subprocess, sys, time
from pathlib import Path
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path(sys.argv[1]).write_text(str(other.pid), encoding="utf-8")
time.sleep(600)
"""
ENDS_IN_GOOD_ORDER = """
import sys, time
from pathlib import Path
from detector.interrupt import catch_sigterm
with catch_sigterm() as interrupt:
    Path(sys.argv[1]).write_text("ready", encoding="utf-8")
    while not interrupt.requested:
        time.sleep(0.01)
sys.exit(7)
"""

KINDS = pytest.mark.parametrize("kind", [ProcessGroup, ProcessTree])


def started(program: str, file: Path) -> tuple["subprocess.Popen[bytes]", str]:
    """A process in a group of its own, and what it has written."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(file)], process_group=0, creationflags=OWN_GROUP
    )
    while not file.exists() or not file.read_text(encoding="utf-8"):
        time.sleep(0.01)
    return process, file.read_text(encoding="utf-8")


@KINDS
def test_what_a_killed_process_started_ends_with_it(
    kind: type[ProcessGroup] | type[ProcessTree], tmp_path: Path
) -> None:
    process, other = started(STARTS_ANOTHER, tmp_path / "pid")
    grandchild = psutil.Process(int(other))
    kind(process).kill()
    process.wait()
    psutil.wait_procs([grandchild], timeout=60)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


@KINDS
def test_what_outlived_its_parent_is_killed(
    kind: type[ProcessGroup] | type[ProcessTree], tmp_path: Path
) -> None:
    process, other = started(STARTS_ANOTHER, tmp_path / "pid")
    grandchild = psutil.Process(int(other))
    group = kind(process)
    if kind is ProcessTree:
        group.ask_to_end()
    process.kill()
    process.wait()
    group.kill()
    psutil.wait_procs([grandchild], timeout=60)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


@KINDS
def test_a_process_that_is_asked_ends_in_good_order(
    kind: type[ProcessGroup] | type[ProcessTree], tmp_path: Path
) -> None:
    process, _ = started(ENDS_IN_GOOD_ORDER, tmp_path / "ready")
    kind(process).ask_to_end()
    assert process.wait(timeout=60) == 7


@KINDS
def test_a_process_that_has_ended_may_be_asked_and_killed(
    kind: type[ProcessGroup] | type[ProcessTree],
) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], process_group=0, creationflags=OWN_GROUP)
    process.wait()
    kind(process).ask_to_end()
    kind(process).kill()
