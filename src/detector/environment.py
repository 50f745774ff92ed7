"""Numbers that come from environment variables. One that is none is an error that names its
variable."""

import math
import os
from collections.abc import Mapping

from detector.errors import ConfigError

THREADS = "OMP_NUM_THREADS"
"""How many threads torch, onnxruntime and OpenVINO take; empty or missing leaves it to them."""
_WAIT_POLICY = "OMP_WAIT_POLICY"
_MOST = 1_000_000


def threads(environ: Mapping[str, str] = os.environ) -> int | None:
    """What `OMP_NUM_THREADS` says; None where it says nothing. Of OpenMP's list the first counts.

    >>> threads({"OMP_NUM_THREADS": "4,2"}), threads({"OMP_NUM_THREADS": ""})
    (4, None)

    Raises:
        ConfigError: it is no number of threads.
    """
    given = environ.get(THREADS, "").strip()
    if not given:
        return None
    first, *others = given.split(",")
    if not all(word.strip().isascii() and word.strip().isdecimal() for word in (first, *others)):
        raise _no_number(THREADS, given, "number of threads", "4")
    return whole(THREADS, first, least=1)


def let_waiting_threads_sleep() -> None:
    """Ask OpenMP, before torch loads it, that a thread which waits for others sleeps.

    By itself it spins for a while. Where another program has the processor, it spins in place of
    the thread that it waits for: a training with two threads took 4 to 9 times as long beside
    tests. Whoever sets one of its variables is asked nothing.
    """
    if "GOMP_SPINCOUNT" not in os.environ:
        os.environ.setdefault(_WAIT_POLICY, "passive")


def whole(variable: str, given: str, least: int) -> int:
    """A variable's value as a whole number.

    Raises:
        ConfigError: it is none, or a smaller one.
    """
    try:
        number = int(given)
    except ValueError:
        number = least - 1
    if not least <= number <= _MOST:
        raise _no_number(variable, given, f"whole number from {least}", str(max(least, 1)))
    return number


def usual_lease_seconds() -> float:
    """An agent that sends no heartbeat for this long counts as dead: 120, or what
    `DETSWEEP_LEASE_SECONDS` says.

    Raises:
        ConfigError: it is no number of seconds above 0.
    """
    return _seconds("DETSWEEP_LEASE_SECONDS", 120)


def _seconds(variable: str, usual: float) -> float:
    """How long a variable says; `usual` where it is empty or missing."""
    given = os.environ.get(variable) or str(usual)
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise _no_number(variable, given, "number of seconds above 0", f"{usual:g}")
    return number


def _no_number(variable: str, given: str, of: str, example: str) -> ConfigError:
    return ConfigError(
        f"{given!r} is no {of}",
        where=variable,
        remedy=f"give one such as {example}, or unset it",
    )
