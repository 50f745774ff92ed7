"""What tests do with a sweep as an agent does."""

from collections.abc import Callable
from typing import Any

from detector.sweep.protocol import HeldTrial, Idle, Sweep
from detector.sweep.trial import Params

NewSweep = Callable[..., Any]
"""Creates a sweep of whichever backend, whose inside some tests look at."""


def x_of(params: Params) -> float:
    """The parameter that most of the tests' sweeps have."""
    x = params["x"]
    assert isinstance(x, int | float)
    return x


def take(sweep: Sweep, agent: str) -> HeldTrial:
    """The trial that an agent gets; there has to be one."""
    claim = sweep.claim(agent)
    assert not isinstance(claim, Idle), claim.value
    return claim
