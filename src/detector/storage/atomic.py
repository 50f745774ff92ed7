"""Files on a disk that are written whole: the old one or the new one, never half of one, and on the
disk before anything else counts on them."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from detector.patience import Patience

_IN_USE = frozenset({5, 32, 33})
"""Windows' numbers for a file that another process has open: it cannot be replaced meanwhile."""
_IN_USE_S = 10.0
_REFUSED = frozenset(
    getattr(errno, name)
    for name in ("EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EINVAL", "ENAMETOOLONG")
)
"""What a place says that no file can ever be made in, where others are away or full for a while."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, then rename: the file is the old one or the new one, never half.

    On a full disk it waits for room.
    """
    Patience(f"room on the disk for {path}", is_full).ask(write_beside, path, content)


def what_keeps_from_writing(folder: Path) -> str | None:
    """Why no file can be made in a folder, which need not be there yet; None where one can."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        return f"{there} is a file, and no folder"
    # Rights alone do not say it: the root user has all of them, in /proc and on a read-only disk.
    probe = there / f".detsweep-{uuid.uuid4().hex}"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        return f"nothing may be written in {there}" if error.errno in _REFUSED else None
    return None


def what_keeps_from_changing(file: Path) -> str | None:
    """Why a file cannot be written, which need not be there yet; None where it can."""
    if file.is_dir():
        return f"{file} is a folder, and no file"
    obstacle = what_keeps_from_writing(file.parent)
    if obstacle or not file.exists():
        return obstacle
    try:
        os.close(os.open(file, os.O_RDWR))
    except OSError as error:
        return f"{file} may not be written" if error.errno in _REFUSED else None
    return None


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk or a quota is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def write_beside(path: Path, content: bytes) -> None:
    """`write_atomically` for who waits for room himself."""
    with _beside(path) as beside:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _replace(beside, path)


def link_beside(source: Path, path: Path) -> None:
    """Make `path` another name of a file that is never changed in place; a copy where a disk has no
    such names."""
    with _beside(path) as beside:
        try:
            beside.hardlink_to(source)
        except OSError as error:
            if is_full(error):
                raise
            shutil.copyfile(source, beside)
        # Whoever wrote it may not have waited for the disk.
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        _replace(beside, path)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name for what is to become `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def is_in_use(error: BaseException) -> bool:
    """Whether Windows refuses to replace a file since someone is reading it; elsewhere never."""
    return isinstance(error, PermissionError) and getattr(error, "winerror", None) in _IN_USE


@retry(
    retry=retry_if_exception(is_in_use),
    stop=stop_after_delay(_IN_USE_S),
    wait=wait_fixed(0.01),
    reraise=True,
)
def _replace(new: Path, old: Path) -> None:
    new.replace(old)
    _sync_folder(old.parent)


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: a renamed file may be lost without it."""
    if os.name == "nt":  # which opens no folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems over a network have none for folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
