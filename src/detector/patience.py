"""What to do about a service that does not answer: ask again for a while, then say so.

The run store, the sweep's database and a cluster's API go away now and then, for a restart or a
move to another machine. What waits for them waits here, for as long as one setting says.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import tenacity

from detector.console import say
from detector.errors import ConfigError, PreemptedError
from detector.interrupt import asked_to_end

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_PATIENCE_S = 300.0
"""As long as a database may take to move to another machine."""
SHORT_PATIENCE_S = 10.0
"""For a person who waits for an answer."""
VARIABLE = "DETSWEEP_PATIENCE_SECONDS"

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 10.0
_SLICE_S = 0.2
_SAY_AGAIN_S = 30.0
_LONGEST_SILENCE_S = 120.0
"""After which every question has failed that was not answered at all."""


def patience_seconds() -> float:
    """How long a step waits for a service, as `DETSWEEP_PATIENCE_SECONDS` says.

    Raises:
        ConfigError: that is no number of seconds.
    """
    given = os.environ.get(VARIABLE) or str(DEFAULT_PATIENCE_S)
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise ConfigError(
            f"{given!r} is no number of seconds", where=VARIABLE, remedy="give one such as 300"
        )
    return seconds


@dataclass(frozen=True)
class Patience:
    """How a service that is away is waited for.

    Attributes:
        what: the service, for people: "the run store s3://…".
        is_outage: whether an error says that it is away, rather than that the question was wrong.
        seconds: how long it is asked again, from the first time that it did not answer.
        cause: an error in a few words, without passwords.
        longest_wait_s: between two questions.
    """

    what: str
    is_outage: Callable[[BaseException], bool]
    seconds: float = field(default_factory=patience_seconds)
    cause: Callable[[BaseException], str] = str
    longest_wait_s: float = _LONGEST_WAIT_S

    def ask(self, question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `question` returns. It has to be safe to ask again, even where the service had done
        all of it and only the answer was lost.

        Raises:
            PreemptedError: SIGTERM came while it was waited for.
            Exception: whatever `question` raised last, if that is no outage or the time is up.
        """
        outage = _Outage(self)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self.is_outage),
            stop=outage.is_too_long,
            wait=tenacity.wait_exponential(_FIRST_WAIT_S, max=self.longest_wait_s),
            sleep=lambda seconds: pause(seconds, self.what),
            before=outage.note_question,
            before_sleep=outage.say_what_is_waited_for,
            reraise=True,
        )
        answer: R = retrying(question, *args, **kwargs)
        outage.say_that_it_is_over()
        return answer


@dataclass
class _Outage:
    """One service that does not answer, from the first question in vain."""

    of: Patience
    _asked_at: float = 0.0
    _since: float | None = None
    _said_at: float | None = None

    def note_question(self, _state: tenacity.RetryCallState) -> None:
        self._asked_at = time.monotonic()

    def is_too_long(self, _state: tenacity.RetryCallState) -> bool:
        now = time.monotonic()
        # What went well for so long before it failed has met another outage.
        went_well = now - self._asked_at > max(self.of.seconds, _LONGEST_SILENCE_S)
        if self._since is None or went_well:
            self._since, self._said_at = now, None
        return now - self._since >= self.of.seconds

    def say_what_is_waited_for(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        assert error is not None, "it is waited for after an error alone"
        assert self._since is not None, "there was a question in vain"
        now, of = time.monotonic(), self.of
        if self._said_at is None:
            say(f"waiting for {of.what}, up to {of.seconds:.0f} s: {of.cause(error)}")
        elif now - self._said_at >= _SAY_AGAIN_S:
            waited = f"{now - self._since:.0f} of {of.seconds:.0f} s"
            say(f"still waiting for {of.what}, {waited}: {of.cause(error)}")
        else:
            return
        self._said_at = now

    def say_that_it_is_over(self) -> None:
        if self._since is not None:
            say(f"{self.of.what} answers again, after {time.monotonic() - self._since:.0f} s")


def pause(seconds: float, waiting_for: str) -> None:
    """Sleep, unless this process is asked to end.

    Raises:
        PreemptedError: SIGTERM has come.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if asked_to_end():
            raise PreemptedError(f"asked to end while waiting for {waiting_for}")
        time.sleep(min(left, _SLICE_S))
