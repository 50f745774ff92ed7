"""What the command and the pipeline's steps print: progress, and errors without a traceback."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from rich.table import Table

from detector.errors import DetsweepError, PreemptedError
from detector.extras import missing_extra

ERROR_EXIT_CODE = 2
PREEMPTED_EXIT_CODE = 143
"""What a shell shows of a process that SIGTERM ended: it is to be started again, and goes on."""


def say(line: str) -> None:
    """Print a line of progress at once, so that it can be followed.

    If nobody listens any more, because whoever started this process was killed, the process ends as
    if SIGTERM had asked it to: in good order, and to be resumed.
    """
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # Python flushes stdout once more at exit, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        os.kill(os.getpid(), signal.SIGTERM)


def narrow_table(title: str) -> Table:
    """A table without columns yet, and without a box: a log has 80 characters."""
    return Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))


class AskedToEnd(SystemExit):
    """SIGTERM came, and nothing in the process had to be ended in good order. No `except Exception`
    of a library stops it."""

    def __init__(self) -> None:
        super().__init__(PREEMPTED_EXIT_CODE)


def end_on_sigterm() -> None:
    """Have SIGTERM end this process at once, wherever it is, with the code that says so.

    A container's first process would not hear it otherwise. A training, which has something to end
    in good order, catches it itself (`detector.interrupt`).
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)


def _end(_signum: int, _frame: FrameType | None) -> None:
    raise AskedToEnd


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Print a `DetsweepError` to stderr without its traceback and exit with code 2, and so where
    an extra is not installed; where the process was asked to end, with 143."""
    before = signal.getsignal(signal.SIGTERM)
    end_on_sigterm()
    try:
        yield
    except AskedToEnd:
        print("asked to end by SIGTERM", file=sys.stderr, flush=True)
        raise
    except PreemptedError as error:
        print(f"preempted: {error}", file=sys.stderr, flush=True)
        raise SystemExit(PREEMPTED_EXIT_CODE) from error
    except (DetsweepError, ModuleNotFoundError) as error:
        known = error if isinstance(error, DetsweepError) else missing_extra(error)
        if known is None:
            raise
        print(f"error: {known}", file=sys.stderr, flush=True)
        raise SystemExit(ERROR_EXIT_CODE) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
