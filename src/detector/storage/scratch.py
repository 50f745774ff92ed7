"""Temporary folders. Where the process of one was killed, the next start removes it.

A process holds a lock on each folder of its own. Where that can be had, nobody needs the folder.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from detector.storage.locks import locked_beside

PREFIX = ".detsweep-scratch-"
"""Of their names, which nobody else gives to a folder."""


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """A folder for the length of a block.

    Args:
        purpose: a word of its name, for those who look.
    """
    _remove_forgotten(tempfile.gettempdir())
    folder, lock = _make(purpose)
    try:
        yield folder
    finally:
        if lock is not None:
            os.close(lock)
        # What is in use on Windows stays until the next start.
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _remove_forgotten(temporary: str) -> None:
    """Remove the folders of processes that were killed; once for each process."""
    with contextlib.suppress(OSError):
        for folder in Path(temporary).glob(f"{PREFIX}*"):
            _remove_if_forgotten(folder)


def _make(purpose: str) -> tuple[Path, int | None]:
    """A new folder and its lock, which is None where the file system has no locks."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))
        try:
            lock = _hold(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # another process took it for forgotten, before it was locked
        except OSError:
            return folder, None
        if folder.is_dir():
            return folder, lock
        os.close(lock)  # the same


if sys.platform == "win32":
    _HELD = ".held"

    def _hold(folder: Path) -> int:
        """An open file cannot be removed."""
        return os.open(folder / _HELD, os.O_CREAT | os.O_RDWR)

    def _remove_if_forgotten(folder: Path) -> None:
        with contextlib.suppress(OSError):
            (folder / _HELD).unlink()
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def scratch_lock(name: str) -> Iterator[None]:
        """Wait until no other process of this machine has the lock of this name, and hold it."""
        with locked_beside(Path(tempfile.gettempdir()) / f"{PREFIX}{name}"):
            yield

else:
    import fcntl

    def _hold(folder: Path, wait: int = fcntl.LOCK_NB) -> int:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | wait)
        except OSError:
            os.close(lock)
            raise
        return lock

    @contextmanager
    def scratch_lock(name: str) -> Iterator[None]:
        """Wait until no other process of this machine has the lock of this name, and hold it."""
        folder = Path(tempfile.gettempdir()) / f"{PREFIX}{name}"
        lock = _wait_for(folder)
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def _wait_for(folder: Path) -> int:
        while True:
            with contextlib.suppress(FileExistsError):  # `exist_ok` fails if it goes meanwhile
                folder.mkdir()
            # The one before removes it, and another may have made it again meanwhile.
            with contextlib.suppress(FileNotFoundError):
                lock = _hold(folder, wait=0)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(folder.stat(), os.fstat(lock)):
                        return lock
                os.close(lock)

    def _remove_if_forgotten(folder: Path) -> None:
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.getuid():
                return
            lock = _hold(folder)
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
