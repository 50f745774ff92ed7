"""A lock on a file for one process at a time. The system frees it when its holder dies."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ASK_AGAIN_S = 0.01


@contextmanager
def locked_beside(path: Path) -> Iterator[None]:
    """Hold the lock of a file by `FILE.lock`, for which others ask again and again.

    On Windows a lock on the file itself would keep readers out, too.
    """
    from filelock import FileLock  # noqa: PLC0415  # only here

    with FileLock(f"{path}.lock", poll_interval=_ASK_AGAIN_S):
        yield


if sys.platform == "win32":
    locked = locked_beside
else:
    import fcntl

    @contextmanager
    def locked(path: Path) -> Iterator[None]:
        """Hold the lock of a file, which is made if there is none. Others wait in line.

        It is a lock on the file itself, as in every earlier version: two versions may write the
        same file. Lock libraries ask again and again instead, which costs many agents too much.
        """
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # Explicitly, since a process forked meanwhile shares it.
                fcntl.flock(file, fcntl.LOCK_UN)
