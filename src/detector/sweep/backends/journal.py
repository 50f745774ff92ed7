"""A journal file that outlives its writers: one may be killed, or find the disk full, at any byte.

Optuna's own journal locks by a link, which a killed writer leaves behind, and appends to whatever
the last writer left, so that half a line spoils the file for good.
"""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import JournalFileBackend

from detector.storage.locks import locked

_STEP = 4096


class JournalFile(JournalFileBackend):
    """Whole lines only, whoever writes: a line that was cut off never happened."""

    def __init__(self, path: Path):
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add the operations, or none of them.

        Raises:
            OSError: the disk is full, or the file cannot be written.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with locked(self._path), self._path.open("r+b", buffering=0) as file:
            end = _end_of_lines(file)
            file.truncate(end)
            file.seek(end)
            try:
                _write_all(file, lines.encode())
            except OSError:
                file.truncate(end)
                raise
            os.fsync(file.fileno())


def _write_all(file: BinaryIO, content: bytes) -> None:
    """An unbuffered file takes as much as fits, and only the next call says why no more does."""
    while content:
        content = content[file.write(content) :]


def _end_of_lines(file: BinaryIO) -> int:
    """Where the last whole line ends, in bytes from the start of the file."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _STEP)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
