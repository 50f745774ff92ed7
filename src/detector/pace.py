"""How far long work is, in a line now and then: only what takes long has any."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from detector.console import say

EVERY_S = 15.0
"""Between two lines."""

T = TypeVar("T")


class Pace:
    """Prints lines of one piece of work after the other.

    Args:
        unit: what is counted.
        clock: seconds.
    """

    def __init__(self, unit: str, clock: Callable[[], float] = time.monotonic):
        self._unit, self._clock = unit, clock
        self._what = ""
        self._began = self._said = 0.0
        self._from = 0

    def __call__(self, what: str, done: int, of: int) -> None:
        """Take how much of a piece is done; print a line if the last one is long ago."""
        now = self._clock()
        if what != self._what:
            self._what, self._began, self._said, self._from = what, now, now, done
        elif self._from < done < of and now - self._said >= EVERY_S:
            self._said = now
            left = (now - self._began) / (done - self._from) * (of - done)
            say(f"{what} · {self._unit} {done} of {of}, about {left:.0f} s left")


def paced(
    items: Sequence[T],
    what: str,
    unit: str = "page",
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """The items, one after the other; `what` begins the lines on how far they are."""
    pace = Pace(unit, clock)
    for done, item in enumerate(items):
        pace(what, done, len(items))
        yield item
