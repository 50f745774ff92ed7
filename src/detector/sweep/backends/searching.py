"""The search of a sweep whose record is an Optuna storage: what it is shown, and how it is set.

It learns from the storage alone, so that any agent may ask it, and none has to be told by others.
"""

from collections.abc import Iterable, Mapping

from detector.search.adaptive import AdaptiveSearch
from detector.search.curves import State, Trial
from detector.sweep.backends.attempts import Slot
from detector.sweepfile import space
from detector.sweepfile.space import Constant
from detector.sweepfile.spec import SweepSpec

_MAX_EPOCHS = "trainer.max_epochs"
_STATES: Mapping[str, State] = {
    "running": "running",
    "waiting": "running",
    "finished": "finished",
    "stopped": "stopped",
}


def new_search(spec: SweepSpec, horizon: int | None) -> AdaptiveSearch | None:
    """The search of a sweep, or None where no parameter varies.

    Args:
        horizon: how many epochs a whole trial has; None where nobody knows.
    """
    axes = space.axes(spec.parameters)
    if not axes:
        return None
    return AdaptiveSearch(axes, spec.metric.goal, horizon, spec.seed)


def seen_by_search(sweep: Iterable[Slot], spec: SweepSpec) -> list[Trial]:
    """The trials as the search sees them. A failed one has no score, and none is made up for it;
    one that waits for another agent is still under way."""
    axes = space.axes(spec.parameters)
    return [
        Trial(slot.number, slot.current.params, slot.curve, _STATES[slot.state])
        for slot in sweep
        if slot.state in _STATES and slot.current.params.keys() >= axes.keys()
    ]


def epochs_of_a_trial(spec: SweepSpec, max_epochs: int | None) -> int | None:
    """How many epochs a whole trial has: the sweep file's constant, else `max_epochs`; None where
    they differ or nobody knows."""
    given = spec.parameters.get(_MAX_EPOCHS)
    if given is None:
        return max_epochs
    return given.value if isinstance(given, Constant) and isinstance(given.value, int) else None
