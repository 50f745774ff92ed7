"""Kills a process group once the process that started this one is gone: `process_group.Watcher`.

It runs by its path, without the package. On stdin it reads the group's number, and then a line
where there is nothing to kill any more.
"""

import contextlib
import os
import signal
import subprocess
import sys


def main() -> None:
    """Wait, and kill."""
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.SIG_IGN)
    group = sys.stdin.readline()
    if group and not sys.stdin.readline():
        _kill(int(group))


def _kill(group: int) -> None:
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(group)], check=False)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
