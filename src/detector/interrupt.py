"""SIGTERM as a question that a loop asks between two steps. What is said of it here and elsewhere
holds for SIGBREAK, too, which Windows has in its place.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

if sys.platform == "win32":
    ASKS_TO_END = (signal.SIGTERM, signal.SIGBREAK)

    def ask_this_process_to_end() -> None:
        """As SIGTERM from outside: Windows ends a process at once that `os.kill` sends one."""
        signal.raise_signal(signal.SIGTERM)

else:
    ASKS_TO_END = (signal.SIGTERM,)

    def ask_this_process_to_end() -> None:
        """As SIGTERM from outside."""
        os.kill(os.getpid(), signal.SIGTERM)


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
    previous = {signum: signal.signal(signum, interrupt) for signum in ASKS_TO_END}
    if isinstance(outer := previous[signal.SIGTERM], Interrupt):
        interrupt.outer = outer
    _caught.append(interrupt)
    try:
        yield interrupt
    finally:
        _caught.pop()
        for signum, handler in previous.items():
            signal.signal(signum, handler)
