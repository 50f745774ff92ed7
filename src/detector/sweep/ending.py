"""What ends trials of a sweep early: the sweep file's bands, detsweep's own rule, or nothing."""

from collections.abc import Iterable

from detector.search.rungs import rungs
from detector.sweep.trial import Stopping, TrialRecord
from detector.sweepfile.space import Constant
from detector.sweepfile.spec import SweepSpec

_MAX_EPOCHS = "trainer.max_epochs"


def goes_by_own_rule(spec: SweepSpec, stopping: Stopping) -> bool:
    """Whether detsweep's own rule ends trials; see `Backend.create`."""
    return "adaptive" in (stopping, spec.detsweep.stopping)


def what_ends_trials(spec: SweepSpec, stopping: Stopping, max_epochs: int | None) -> str:
    """What ends trials early, in one line.

    Args:
        stopping: see `Backend.create`.
        max_epochs: a trial's epochs where the sweep file does not say.
    """
    if goes_by_own_rule(spec, stopping):
        horizon = epochs_of_a_trial(spec, max_epochs)
        if horizon is None:
            return "trials are ended early by detsweep's own rule, once one has been trained whole"
        judged = " and ".join(map(str, rungs(horizon))) or "none"
        return f"trials are ended early by detsweep's own rule, judged at epoch {judged}"
    if spec.early_terminate is not None:
        return "trials are ended early at the bands of early_terminate, as W&B does"
    return (
        "no trial is ended early, as with W&B: the sweep file has no early_terminate. "
        "`--stopping adaptive` would end hopeless ones by detsweep's own rule"
    )


def most_trials(spec: SweepSpec, trials: Iterable[TrialRecord]) -> int | None:
    """How many trials a sweep has, those included that a person added; None where only a person
    ends it."""
    limit = spec.trial_limit
    return None if limit is None else limit + sum(trial.is_added for trial in trials)


def epochs_of_a_trial(spec: SweepSpec, max_epochs: int | None) -> int | None:
    """How many epochs a whole trial has: the sweep file's constant, else `max_epochs`; None where
    they differ or nobody knows."""
    given = spec.parameters.get(_MAX_EPOCHS)
    if given is None:
        return max_epochs
    return given.value if isinstance(given, Constant) and isinstance(given.value, int) else None
