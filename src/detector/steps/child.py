"""A step's work in a child process, which the step outlives.

Where a step's container ends, much is lost: a stock Kubeflow starts it again only if its pod was
deleted. So what may crash, run out of memory or be ended by a signal runs in a child, and the step
itself, which is small, starts it again. The work continues from what it had stored.
"""

import multiprocessing
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

from detector.console import say
from detector.errors import DetsweepError, PreemptedError
from detector.interrupt import Interrupt, ask_this_process_to_end, catch_sigterm
from detector.steps.memory import Memory

T = TypeVar("T")

LOSSES_IN_A_ROW = 5
"""After so many without progress between them the work is given up. One more than the number of
deaths after which a sweep gives a trial up, so that one bad trial does not end an agent."""

GRACE_S = 60.0
"""How long a child may take to end after SIGTERM, where nobody is in a hurry."""

_POLL_S = 0.02
"""Between two looks at whether SIGTERM has come: on Kubeflow there is half a second to react."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_HAS_SIGTERM = sys.platform != "win32"
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_KILL = "1000"


class WorkLostError(DetsweepError):
    """The process of a step's work ended again and again, without progress."""


@dataclass(frozen=True)
class Progress:
    """What a child says when an epoch is stored: whatever ends it later has cost no more."""


@dataclass(frozen=True)
class _Result:
    value: Any


@dataclass(frozen=True)
class _Failure:
    error: DetsweepError


_parent: Connection | None = None
"""In a child: the way to the process that started it."""


def say_to_parent(message: object) -> None:
    """Hand `message` to `Work.on_message` of the process that this one is a child of, if it is one.

    A `Progress` says that the work is worth to be started again.
    """
    if _parent is not None:
        with suppress(OSError):  # The parent is gone, and this process is ending.
            _parent.send(message)


@dataclass
class Work(Generic[T]):
    """Something to be done in a child process.

    Attributes:
        name: for people.
        function: the work; it can be pickled, and so can what it returns.
        arguments: of the next child; they can be pickled, too.
        on_message: gets what the child says by `say_to_parent`.
        on_loss: called when a child has ended without a result, to release what it held. It gets
            whether this process was asked to end, in which case no other child is started.
        grace_s: how long a child may take to end after SIGTERM.
        losses_in_a_row: how often it may be lost without progress.
        memory: what the container may use; None watches nothing.
    """

    name: str
    function: Callable[..., T]
    arguments: Callable[[], tuple[object, ...]]
    on_message: Callable[[Any], None] = lambda _: None
    on_loss: Callable[[bool], None] = lambda _: None
    grace_s: float = GRACE_S
    losses_in_a_row: int = LOSSES_IN_A_ROW
    memory: Memory | None = field(default_factory=Memory.of_this_container)
    _losses: int = 0

    def done(self) -> T:
        """Do it, in as many children as it takes.

        Raises:
            DetsweepError: what the work itself raised.
            WorkLostError: the child was lost too often.
            PreemptedError: SIGTERM came. Where the work was just done all the same, it is found
                done by whoever starts it again.
        """
        with catch_sigterm() as interrupt:
            while True:
                ended = _Child(self).run(interrupt)
                match ended:
                    case _Result(value):
                        if interrupt.requested:
                            # Not to be lost: what comes next would not hear of it.
                            raise PreemptedError(f"{self.name} was asked to end as it was done")
                        result: T = value
                        return result
                    case _Failure(PreemptedError()):
                        ended = "was asked to end"
                    case _Failure(error):
                        raise error
                self.on_loss(interrupt.requested)
                if interrupt.requested:
                    raise PreemptedError(f"{self.name} was asked to end before it was done")
                self._count_loss(ended)
                self._wait(interrupt)

    def _count_loss(self, how: str) -> None:
        self._losses += 1
        if self._losses >= self.losses_in_a_row:
            raise WorkLostError(
                f"{self.name} was lost {self._losses} times in a row, the last time it {how}",
                remedy="its lines above say what it was at; killed by SIGKILL mostly means that "
                "memory ran out: raise the memory limit, or lower data.num_workers or "
                "data.batch_size. Started again, it continues from its last finished epoch",
            )
        say(f"{self.name} {how}; started again from what it had stored")

    def _wait(self, interrupt: Interrupt) -> None:
        until = time.monotonic() + min(_FIRST_WAIT_S * 2 ** (self._losses - 1), _LONGEST_WAIT_S)
        while time.monotonic() < until and not interrupt.requested:
            time.sleep(_POLL_S)

    def hear(self, message: object) -> None:
        """Take what a child has said."""
        if isinstance(message, Progress):
            self._losses = 0
        else:
            self.on_message(message)


class _Child:
    """One process of a work, from its start to its end."""

    def __init__(self, work: Work[Any]):
        self._work = work
        context = multiprocessing.get_context("spawn")
        self._hears, says = context.Pipe(duplex=False)
        asked, self._asks = context.Pipe(duplex=False)
        self._process: SpawnProcess = context.Process(
            target=_run, args=(says, asked, work.function, work.arguments()), name=work.name
        )
        self._process.start()
        says.close()
        asked.close()
        self._end: _Result | _Failure | None = None
        self._out_of_memory = ""

    def run(self, interrupt: Interrupt) -> "_Result | _Failure | str":
        """Its result or its error; where there is neither, how it ended."""
        kill_at: float | None = None
        while self._process.is_alive():
            wait([self._process.sentinel, self._hears], timeout=_POLL_S)
            self._listen()
            if interrupt.requested and kill_at is None:
                self._ask_to_end()
                kill_at = time.monotonic() + self._work.grace_s
            if kill_at is not None and time.monotonic() >= kill_at:
                self._process.kill()
            self._spare_the_container()
        self._process.join()
        self._asks.close()
        self._listen()
        return self._end or self._out_of_memory or _how_it_ended(self._process.exitcode)

    def _ask_to_end(self) -> None:
        if _HAS_SIGTERM:
            self._process.terminate()
        else:
            self._asks.close()

    def _listen(self) -> None:
        """Take every message that has come. What was cut off by the child's death is none."""
        with suppress(EOFError, OSError):
            while self._hears.poll():
                message = self._hears.recv()
                if isinstance(message, (_Result, _Failure)):
                    self._end = message
                else:
                    self._work.hear(message)

    def _spare_the_container(self) -> None:
        """End the child before the kernel ends every process of the container."""
        memory = self._work.memory
        if memory is not None and not self._out_of_memory and memory.is_nearly_full():
            self._out_of_memory = f"was ended, for {memory} of the container's memory was used"
            self._process.kill()


def _how_it_ended(code: int | None) -> str:
    """
    >>> _how_it_ended(-9), _how_it_ended(1)
    ('was killed by SIGKILL', 'ended with exit code 1')
    """
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _run(
    parent: Connection,
    asked: Connection,
    function: Callable[..., object],
    arguments: tuple[Any, ...],
) -> None:
    """The child: do the work and hand over what it gives."""
    global _parent  # noqa: PLW0603  (a process has one parent)
    _parent = parent
    with suppress(OSError):  # Not Linux, or not allowed.
        _OOM_SCORE.write_text(_FIRST_TO_KILL, encoding="utf-8")
    threading.Thread(
        target=_end_with_parent, args=[asked], name="end with the step", daemon=True
    ).start()
    try:
        value = function(*arguments)
    except DetsweepError as error:
        parent.send(_Failure(_as_sent(error)))
    else:
        parent.send(_Result(value))


def _as_sent(error: DetsweepError) -> DetsweepError:
    """`error`, or a plain one of the same words where it can't be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return DetsweepError(error.problem, where=error.where, remedy=error.remedy)
    return error


def _end_with_parent(asked: Connection) -> None:
    """A step that was killed leaves no training behind. A step that closes its end of `asked` asks
    for the same, where there is no SIGTERM."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this runs in a child"
    wait([parent.sentinel, asked])
    ask_this_process_to_end()
