"""A progress bar on a terminal. It goes to stderr, so that stdout holds nothing but the result."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def with_bar(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, one after the other; `what` stands before the bar."""
    console = Console(stderr=True)
    return track(items, what, console=console, disable=not console.is_terminal)
