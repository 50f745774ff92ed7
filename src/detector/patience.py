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
        seconds: how long it is asked again.
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
        away_since: float | None = None

        def before_sleep(state: tenacity.RetryCallState) -> None:
            nonlocal away_since
            error = state.outcome.exception() if state.outcome else None
            if away_since is None and error is not None:
                away_since = time.monotonic()
                say(f"waiting for {self.what}, up to {self.seconds:.0f} s: {self.cause(error)}")

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self.is_outage),
            stop=tenacity.stop_after_delay(self.seconds),
            wait=tenacity.wait_exponential(_FIRST_WAIT_S, max=self.longest_wait_s),
            sleep=lambda seconds: pause(seconds, self.what),
            before_sleep=before_sleep,
            reraise=True,
        )
        answer: R = retrying(question, *args, **kwargs)
        if away_since is not None:
            say(f"{self.what} answers again, after {time.monotonic() - away_since:.0f} s")
        return answer


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
