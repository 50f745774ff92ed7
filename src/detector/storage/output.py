"""What a person names as output, written as it is: a file, a link, a device, a pipe, or `-`."""

import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from detector.errors import StoreError
from detector.storage.atomic import (
    what_keeps_from_changing,
    what_keeps_from_writing,
    write_atomically,
)

STDOUT = Path("-")


def write_output(path: Path, content: bytes) -> None:
    """Write to where a person has said.

    A file becomes the new content as a whole and keeps its permissions; one that a link names is
    written where it lies. A device or a pipe is written through. `-` is the standard output.

    Raises:
        StoreError: it cannot be written.
    """
    if path == STDOUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        _write(path, content)
    except OSError as error:
        raise _not_writable(path, error) from error


def require_output(file: Path | None = None, folder: Path | None = None) -> None:
    """Refuse a place that nothing can be written to, before the work whose result it is for.

    Raises:
        StoreError: with the reason.
    """
    obstacle = None
    # A device or a pipe is written through.
    if file not in {None, STDOUT} and (file.is_file() or file.is_dir() or not file.exists()):
        obstacle = what_keeps_from_changing(file)
    elif folder is not None:
        obstacle = what_keeps_from_writing(folder)
    if obstacle:
        raise StoreError(obstacle, where=str(file or folder), remedy="name another place")


@contextmanager
def open_lines(path: Path | None) -> Iterator[Callable[[str], None]]:
    """What writes one line after the other to where a person has said; whoever reads along has each
    at once. Nothing is written where no place is named.

    Raises:
        StoreError: the file cannot be opened.
    """
    if path is None:
        yield _ignored
    elif path == STDOUT:
        yield lambda line: write_output(STDOUT, line.encode())
    else:
        with _opened(path) as stream:

            def write(line: str) -> None:
                stream.write(line)
                stream.flush()

            yield write


def _ignored(_line: str) -> None:
    pass


def _opened(path: Path) -> TextIO:
    try:
        path.resolve().parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot be written: {error.strerror or error}",
        where=str(path),
        remedy="name a file in a folder that you may write to, on a disk with room",
    )


def _write(path: Path, content: bytes) -> None:
    target = path.resolve()
    mode = target.stat().st_mode if target.exists() else None
    if mode is not None and not stat.S_ISREG(mode):
        with target.open("wb") as stream:
            stream.write(content)
        return
    write_atomically(target, content)
    if mode is not None:
        target.chmod(stat.S_IMODE(mode))
