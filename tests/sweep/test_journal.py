"""The journal file, whose writers die at any byte and whose disk may be full."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from detector.sweep.backends.journal import JournalFile

FIRST, SECOND = {"op_code": 1, "text": "first"}, {"op_code": 2, "text": "second"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def read(path: Path) -> list[dict[str, int | str]]:
    return list(JournalFile(path).read_logs(0))


@pytest.mark.parametrize("cut_off", [b'{"op_code": 9, "te', b"{", b'{"op_code":9}' * 1000])
def test_a_line_that_was_cut_off_never_happened(path: Path, cut_off: bytes) -> None:
    JournalFile(path).append_logs([FIRST])
    with path.open("ab") as file:
        file.write(cut_off)
    assert read(path) == [FIRST]
    JournalFile(path).append_logs([SECOND])
    assert read(path) == [FIRST, SECOND]


def test_a_journal_of_which_nothing_but_half_a_line_was_written_is_empty(path: Path) -> None:
    path.write_bytes(b'{"op_c')
    JournalFile(path).append_logs([FIRST])
    assert read(path) == [FIRST]


def test_what_does_not_fit_on_the_disk_is_not_written_at_all(path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows limits no file's size")
    import resource

    journal = JournalFile(path)
    journal.append_logs([FIRST])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.append_logs([SECOND])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read(path) == [FIRST]
    journal.append_logs([SECOND])
    assert read(path) == [FIRST, SECOND]


def test_a_writer_that_is_killed_leaves_no_lock_behind(path: Path) -> None:
    JournalFile(path).append_logs([FIRST])
    killed_while_it_holds_the_lock = (
        "import os; from pathlib import Path\n"
        "from tests.signals import KILL\n"
        "from detector.storage.locks import locked\n"
        f"with locked(Path({str(path)!r})): os.kill(os.getpid(), KILL)"
    )
    process = subprocess.run([sys.executable, "-c", killed_while_it_holds_the_lock], check=False)
    assert process.returncode not in (0, 1)
    JournalFile(path).append_logs([SECOND])
    assert read(path) == [FIRST, SECOND]


def test_a_writer_of_an_earlier_version_is_waited_for(path: Path) -> None:
    """It holds a lock on the file itself."""
    if sys.platform == "win32":
        pytest.skip("no earlier version ran on Windows")
    import fcntl

    JournalFile(path).append_logs([FIRST])
    with path.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        later = threading.Thread(target=JournalFile(path).append_logs, args=[[SECOND]])
        later.start()
        later.join(0.3)
        assert later.is_alive()
        assert read(path) == [FIRST]
    later.join()
    assert read(path) == [FIRST, SECOND]
