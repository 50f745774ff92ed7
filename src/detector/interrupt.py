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
        """Note the signal."""
        self.requested = True
        if self.outer is not None:
            self.outer(signum, frame)


_caught: list[Interrupt] = []
"""The blocks that catch SIGTERM at present, the innermost last."""


def asked_to_end() -> bool:
    """Whether SIGTERM has come to a block of `catch_sigterm` that this call is inside of."""
    return bool(_caught) and _caught[-1].requested


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
    _caught.append(interrupt)
    try:
        yield interrupt
    finally:
        _caught.pop()
        signal.signal(signal.SIGTERM, previous)
