"""What the command and the pipeline's steps print: progress, and errors without a traceback."""

import contextlib
import errno
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from types import FrameType, TracebackType
from typing import TextIO

from rich.console import Console
from rich.table import Table

from detector.errors import DetsweepError, PreemptedError, StorageLostError, StoreLostError
from detector.extras import missing_extra
from detector.interrupt import ASKS_TO_END, ask_this_process_to_end
from detector.names import REMEDY, readable
from detector.redacting import redact

ERROR_EXIT_CODE = 2
LOST_EXIT_CODE = 75
"""A storage, a store or a disk was away or full for long: nothing is wrong with what was asked for.
Started again, it goes on where it was. (EX_TEMPFAIL of sysexits.h.)"""
PREEMPTED_EXIT_CODE = 143
"""What a shell shows of a process that SIGTERM ended: it is to be started again, and goes on."""


LOG = "DETSWEEP_LOG"
"""The environment variable that says how lines of progress are printed, here and in every process
that this one starts: one of `LogStyle`."""


class LogStyle(StrEnum):
    """How lines of progress are printed."""

    PLAIN = "plain"
    TIMED = "timed"
    """With the time of day before each."""
    JSON = "json"
    """An object on each line: `time`, `level`, `message`, and of a pipeline's lines `step`."""
    QUIET = "quiet"
    """Warnings alone."""

    @classmethod
    def of_environment(cls) -> "LogStyle":
        """What `DETSWEEP_LOG` says; plain lines where it says nothing that is known."""
        asked = os.environ.get(LOG, "")
        return cls(asked) if asked in list(cls) else cls.PLAIN


def log_line(message: str, step: str | None = None, level: str | None = None) -> str | None:
    """A line of progress as it is to be printed; None where it is not.

    Args:
        message: its text.
        step: the step of the pipeline that printed it.
        level: "error", "warning" or "info"; by default a warning's text says that it is one.
    """
    level = level or ("warning" if message.startswith("warning: ") else "info")
    text = message if step is None else f"{step} │ {message}"
    now = datetime.now().astimezone()
    match LogStyle.of_environment():
        case LogStyle.QUIET:
            return None if level == "info" else text
        case LogStyle.TIMED:
            return f"{now:%H:%M:%S} {text}"
        case LogStyle.JSON:
            of_step = {} if step is None else {"step": step}
            fields = {"time": now.isoformat(timespec="milliseconds"), "level": level, **of_step}
            return json.dumps({**fields, "message": message}, ensure_ascii=False)
        case LogStyle.PLAIN:
            return text


def say(line: str) -> None:
    """Print a line of progress at once, so that it can be followed; see `LogStyle`."""
    text = log_line(redact(line))
    if text is not None:
        put(text)


def warn(line: str) -> None:
    """Print a line to stderr, where it is in no result's way."""
    text = log_line(redact(line), level="warning")
    if text is not None:
        print(text, file=sys.stderr, flush=True)


def put(line: str) -> None:
    """Print a line at once, as it is: of a command's result.

    If nobody listens any more, because whoever started this process was killed, the process ends as
    if SIGTERM had asked it to: in good order, and to be resumed.
    """
    try:
        print(line, flush=True)
    except OSError as error:
        # Windows has a plain error where the others have EPIPE.
        if error.errno not in (errno.EPIPE, errno.EINVAL):
            raise
        # Python flushes stdout once more at exit, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ask_this_process_to_end()


def print_what_no_one_can_encode() -> None:
    """Have a console or a log that lacks a character show a question mark instead of failing: that
    of Windows has 256 of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def plain_console(
    *, stderr: bool = False, width: int | None = None, file: TextIO | None = None
) -> Console:
    """A console that prints text as it is: a file may be called `[bold]` or `:dog:`. A style is
    given beside the text, or by `rich.text.Text`."""
    return Console(stderr=stderr, width=width, file=file, markup=False, emoji=False)


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
        for signum in ASKS_TO_END:
            signal.signal(signum, _end)


def _end(_signum: int, _frame: FrameType | None) -> None:
    raise AskedToEnd


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Print a `DetsweepError` to stderr without its traceback and exit with code 2, and so where
    an extra is not installed; where the process was asked to end, with 143, and where what it
    waited for did not come back, with 75. Any other error is raised, and where nobody catches it,
    its traceback is printed without passwords."""
    sys.excepthook = _show_uncaught
    before = {signum: signal.getsignal(signum) for signum in ASKS_TO_END}
    end_on_sigterm()
    try:
        yield
    except AskedToEnd:
        _complain("asked to end by SIGTERM")
        raise
    except PreemptedError as error:
        _complain(f"preempted: {error}")
        raise SystemExit(PREEMPTED_EXIT_CODE) from error
    except (StorageLostError, StoreLostError) as error:
        _complain(f"error: {error}")
        raise SystemExit(LOST_EXIT_CODE) from error
    except (DetsweepError, ModuleNotFoundError) as error:
        known = error if isinstance(error, DetsweepError) else missing_extra(error)
        if known is None:
            raise
        _complain(f"error: {known}")
        raise SystemExit(ERROR_EXIT_CODE) from error
    except UnicodeEncodeError as error:
        # Of a name that was refused nowhere before.
        name = DetsweepError(
            f"the name {readable(error.object)[:_LONGEST_NAME]} is no valid UTF-8", remedy=REMEDY
        )
        _complain(f"error: {name}")
        raise SystemExit(ERROR_EXIT_CODE) from error
    except OSError as error:
        if error.errno == errno.EPIPE:  # Nobody reads on: `detsweep … | head`.
            raise
        _complain(f"error: {_about_a_file(error)}")
        code = LOST_EXIT_CODE if error.errno in _FULL else ERROR_EXIT_CODE
        raise SystemExit(code) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            for signum, handler in before.items():
                signal.signal(signum, handler)


def _show_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    print(redact("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr, end="")


_FULL = (errno.ENOSPC, errno.EDQUOT)
_LONGEST_NAME = 300
_WHAT_HELPS = {
    errno.EACCES: "check who may read and write there",
    errno.EPERM: "check who may read and write there",
    errno.EROFS: "name a place that can be written",
    errno.ENOSPC: "make room on that disk; what was finished is kept",
    errno.EDQUOT: "make room in your quota; what was finished is kept",
    errno.EISDIR: "name a file in place of a folder",
    errno.ENOTDIR: "a part of this path is a file: name another",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.EMFILE: "raise the limit of open files: `ulimit -n 4096`",
}


def _about_a_file(error: OSError) -> DetsweepError:
    """What the operating system refused, as any other error of a person's to mend."""
    where = " and ".join(str(name) for name in (error.filename, error.filename2) if name)
    remedy = _WHAT_HELPS.get(error.errno or 0)
    return DetsweepError(error.strerror or str(error), where=where or None, remedy=remedy)


def _complain(message: str) -> None:
    """Print to stderr how the process ends: without a time, for a person reads it last."""
    is_json = LogStyle.of_environment() is LogStyle.JSON
    text = log_line(message, level="error") if is_json else message
    print(text, file=sys.stderr, flush=True)
