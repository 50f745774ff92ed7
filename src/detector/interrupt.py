"""SIGTERM as a question that a loop asks between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether the process was asked to end. It is the signal's handler, too."""

    def __init__(self) -> None:
        self.requested = False
        self.outer: Interrupt | None = None

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.requested = True
        if self.outer is not None:
            self.outer(signum, frame)


@contextmanager
def catch_sigterm() -> Iterator[Interrupt]:
    """Turn SIGTERM into `Interrupt.requested` while the block runs, for every block around it too.

    Python handles signals in the main thread only; elsewhere nothing is caught.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    if isinstance(previous, Interrupt):
        interrupt.outer = previous
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGTERM, previous)
