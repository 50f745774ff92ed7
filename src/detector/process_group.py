"""A process with all that it starts: asked to end, or killed, together.

Linux and macOS have process groups and SIGTERM. Windows has console groups, in which
CTRL_BREAK_EVENT asks every process to end; Python hears it as SIGBREAK (see `interrupt`). What has
to be killed there is found by who started whom.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import psutil

Process = subprocess.Popen[Any]

if sys.platform == "win32":
    OWN_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
    _ASK = signal.CTRL_BREAK_EVENT
else:
    OWN_GROUP = 0
    _ASK = signal.SIGTERM
"""`Popen(creationflags=OWN_GROUP)` goes with `process_group=0` or `start_new_session=True`: the
flags count on Windows, the others everywhere else."""


def dying_with_this_process(argv: Sequence[str]) -> list[str]:
    """The words to start a program with, so that it is killed when the thread that started it dies,
    by SIGKILL too. Where a system has no means for that they are as they were."""
    keeper = shutil.which("setpriv") if sys.platform == "linux" else None
    return [keeper, "--pdeathsig", "KILL", "--", *argv] if keeper else list(argv)


def ask_to_end(process: Process) -> None:
    """Ask a process to end in good order, and on Windows its whole group."""
    with contextlib.suppress(OSError):  # It has ended, or on Windows has no console.
        process.send_signal(_ASK)


class ProcessTree:
    """A process and all that it started, by who started whom.

    What outlived its own parent is found only if it was there when this was last asked.
    """

    def __init__(self, process: Process):
        self._process = process
        self._found: set[psutil.Process] = set()

    def ask_to_end(self) -> None:
        """Ask them to end in good order; on Windows all hear it, elsewhere the first alone."""
        self._look()
        ask_to_end(self._process)

    def kill(self) -> None:
        """End what is left of them at once."""
        self._look()
        kill_all(self._found)

    def _look(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._found |= with_descendants(self._process.pid)


def with_descendants(pid: int) -> set[psutil.Process]:
    """A process, and all that it and its children started.

    Raises:
        psutil.NoSuchProcess: there is none of this number.
    """
    first = psutil.Process(pid)
    return {first, *first.children(recursive=True)}


def kill_all(processes: set[psutil.Process]) -> None:
    """End them at once. One whose number belongs to another by now is left alone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


if sys.platform == "win32":
    ProcessGroup = ProcessTree

    def kill_own_group() -> None:
        """End this process at once, with all that it started."""
        here = psutil.Process()
        kill_all(set(here.children(recursive=True)))
        here.kill()

else:

    class ProcessGroup:
        """A process that was started in a group of its own, and all of that group."""

        def __init__(self, process: Process):
            self._process = process

        def ask_to_end(self) -> None:
            """Send SIGTERM to each of them."""
            self._send(signal.SIGTERM)

        def kill(self) -> None:
            """End what is left of them at once."""
            self._send(signal.SIGKILL)

        def _send(self, number: signal.Signals) -> None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def kill_own_group() -> None:
        """End this process and its group at once."""
        os.killpg(0, signal.SIGKILL)
