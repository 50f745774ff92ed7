"""A process with all that it starts: asked to end, or killed, together.

Linux and macOS have process groups and SIGTERM. Windows has console groups, in which
CTRL_BREAK_EVENT asks every process to end; Python hears it as SIGBREAK (see `interrupt`). What has
to be killed there is found by who started whom.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
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


_WATCHER = Path(__file__).with_name("watcher.py")


class Watcher:
    """A small process that kills another, with all of its group, once this one is gone: by SIGKILL,
    too. What has left its group (by `setsid`, as a daemon) is not found, except on Windows.

    It is started first, so that no time passes in which nobody watches.
    """

    def __init__(self) -> None:
        # In a session of its own: what ends this process and its group is to leave it alone.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _WATCHER],
            stdin=subprocess.PIPE,
            encoding="ascii",
            start_new_session=True,
            creationflags=OWN_GROUP,
        )

    def watch(self, process: Process) -> None:
        """
        Args:
            process: the first of a group of its own.
        """
        self._say(process.pid)

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to kill: by now the number may be another process's."""
        self._say("ended")
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _say(self, line: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # somebody has ended it
            print(line, file=self._process.stdin, flush=True)


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
