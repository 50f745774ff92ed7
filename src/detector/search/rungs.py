"""When detsweep's own rule judges a trial; how, is `search`'s matter.

On its own, so that whoever only tells of it does not load the search.
"""

_SHARES = (0.1, 0.2)
"""Where in its course a trial is judged."""
_LATE_SHARES = (0.4, 0.6)
"""Where it is judged in a sweep whose early ranks have turned out to say little."""


def rungs(horizon: int) -> tuple[int, ...]:
    """After how many values of its metric a trial of `horizon` epochs is judged.

    >>> rungs(20), rungs(3)
    ((2, 4), (1,))
    """
    return _marks(_SHARES, horizon)


def late_rungs(horizon: int) -> tuple[int, ...]:
    """After how many it is judged where early ranks do not predict late ones.

    >>> late_rungs(20), late_rungs(3)
    ((8, 12), (2,))
    """
    early = rungs(horizon)
    return tuple(mark for mark in _marks(_LATE_SHARES, horizon) if mark not in early)


def _marks(shares: tuple[float, ...], horizon: int) -> tuple[int, ...]:
    marks = {max(1, round(share * horizon)) for share in shares}
    return tuple(sorted(mark for mark in marks if mark < horizon))
