"""The command as a shell sees it: its exit code, and all that it prints."""

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from unittest import mock

from detector.cli.main import run


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code.
        output: what it printed, errors among it.
    """

    code: int
    output: str


def detsweep(*words: object) -> Ended:
    """Run `detsweep` with these words, in this process. What it does not catch is raised."""
    printed = io.StringIO()
    argv = ["detsweep", *map(str, words)]
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.dict(os.environ),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            run()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
            return Ended(code, printed.getvalue())
    return Ended(0, printed.getvalue())
