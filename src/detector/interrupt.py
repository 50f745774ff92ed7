"""SIGTERM as a question that a training loop asks between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether the process was asked to end."""

    def __init__(self) -> None:
        self.requested = False

    def _request(self, _signum: int, _frame: FrameType | None) -> None:
        self.requested = True


@contextmanager
def catch_sigterm() -> Iterator[Interrupt]:
    """Turn SIGTERM into `Interrupt.requested` while the block runs.

    Python handles signals in the main thread only; elsewhere nothing is caught.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    previous = signal.signal(signal.SIGTERM, interrupt._request)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGTERM, previous)
