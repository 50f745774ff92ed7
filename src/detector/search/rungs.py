"""When detsweep's own rule judges a trial; how, is `search`'s matter.

On its own, so that whoever only tells of it does not load the search.
"""

_SHARES = (0.1, 0.2)
"""Where in its course a trial is judged."""


def rungs(horizon: int) -> tuple[int, ...]:
    """After how many values of its metric a trial of `horizon` epochs is judged.

    >>> rungs(20), rungs(3)
    ((2, 4), (1,))
    """
    marks = {max(1, round(share * horizon)) for share in _SHARES}
    return tuple(sorted(mark for mark in marks if mark < horizon))
