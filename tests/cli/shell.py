"""The command as a shell sees it: its exit code, and all that it prints."""

import contextlib
import io
import os
import sys
from collections.abc import Callable
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
    return _ended(run, ["detsweep", *map(str, words)])


def pipelines(*words: object) -> Ended:
    """`python -m pipelines`, as `detsweep` above."""
    from pipelines.submit.commands import main

    return _ended(main, ["pipelines", *map(str, words)])


def _ended(entry: Callable[[], None], argv: list[str]) -> Ended:
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.dict(os.environ),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            entry()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
            return Ended(code, printed.getvalue())
    return Ended(0, printed.getvalue())
