"""How far an epoch is, in a line now and then: only epochs that take long have any."""

import time
from collections.abc import Callable

from detector.console import say

EVERY_S = 30.0
"""Between two lines."""


class Pace:
    """Prints lines; it is called as an `OnStep` is.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._epoch = 0
        self._began = self._said = 0.0
        self._from = 0

    def __call__(self, epoch: int, done: int, of: int) -> None:
        """Take how many steps of an epoch are done; print a line if the last one is long ago."""
        now = self._clock()
        if epoch != self._epoch:
            self._epoch, self._began, self._said, self._from = epoch, now, now, done
        elif done < of and now - self._said >= EVERY_S:
            self._said = now
            left = (now - self._began) / (done - self._from) * (of - done)
            say(f"epoch {epoch} · step {done} of {of}, about {left:.0f} s left")
