"""How far a long piece of work is: a bar on a terminal, a line now and then elsewhere. Both go to
stderr, so that stdout holds nothing but the result."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from detector.cli.measured import duration
from detector.console import LogStyle, log_line, plain_console
from detector.training.result import OnStep
from detector.wording import counted

T = TypeVar("T")

EVERY_S = 15.0
"""Between two lines."""


def note(line: str) -> None:
    """Print a line of progress beside the result."""
    text = log_line(line)
    if text is not None:
        print(text, file=sys.stderr, flush=True)


def with_bar(items: Sequence[T], what: str, noun: str = "page") -> Iterator[T]:
    """The items, one after the other; `what` stands before the bar."""
    if console := _terminal():
        with _bar(console) as progress:
            yield from progress.track(items, description=what)
    else:
        show = _lines_of(f"{what} on {counted(len(items), noun)}")
        for done, item in enumerate(items):
            show(done, len(items))
            yield item


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """What takes how many are done, and how many there are: a bar, or a line now and then."""
    console = _terminal()
    if console is None:
        yield _lines_of(what)
        return
    with _bar(console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lines_of(what: str) -> Callable[[int, int], None]:
    note(what)
    began = said = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= EVERY_S and 0 < done < total:
            said = now
            left = duration((now - began) / done * (total - done))
            note(f"{what}: {done} of {total}, {left} to go")

    return show


@contextmanager
def spinning(what: str) -> Iterator[None]:
    """Something turns on a terminal while the block runs; elsewhere a line says what it does. For
    what has no parts to count, such as loading torch."""
    console = _terminal()
    if console is None:
        note(what)
        yield
        return
    with console.status(Text(what)):
        yield


@contextmanager
def epoch_bar() -> Iterator[OnStep | None]:
    """A bar of each epoch's steps; None where there is no terminal for it, or nothing is to be
    shown: a training prints lines of its own there."""
    console = _terminal()
    if console is None or not sys.stdout.isatty():
        yield None
        return
    with _bar(console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def show(epoch: int, done: int, of: int) -> None:
            what = f"epoch {epoch}" if done < of else f"epoch {epoch}, validation"
            progress.update(task, description=what, completed=done, total=of)

        yield show


def _bar(console: Console, *, transient: bool = False) -> Progress:
    """rich's own columns read markup in what is said of the work."""
    said = TextColumn("{task.description}", style="progress.description", markup=False)
    columns = (said, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=transient)


def _terminal() -> Console | None:
    """Where bars are drawn; None where lines are printed instead, if any are asked for."""
    console = plain_console(stderr=True)
    is_quiet = LogStyle.of_environment() is LogStyle.QUIET
    return console if console.is_terminal and not is_quiet else None
