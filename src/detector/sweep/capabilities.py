"""What a backend may leave to a service of its own, and what the service does instead."""

from collections.abc import Mapping
from enum import Enum

from detector.errors import SweepError
from detector.sweep.trial import Stopping


class Capability(Enum):
    """What a backend of detsweep's own keeps; others may lack it (see `Backend.lacks`)."""

    COUNTS = "trials are numbered from 0, and `run_cap` is exact under any number of agents"
    SEARCHES = "detsweep draws the values and ends trials early; one file gives the same trials"
    REQUEUES = "a trial whose agent died is taken over from its last epoch"
    ANSWERS_AT_ONCE = "what a trial reports is seen at once, and `sweep stop --now` ends it there"


Lacks = Mapping[Capability, str]
"""What a backend does not keep: for each, a sentence that says what happens instead."""


def refuse_stopping(lacks: Lacks, stopping: Stopping) -> None:
    """Refuse a rule of detsweep's own where a service ends the trials.

    Raises:
        SweepError: the backend cannot be asked for this `stopping`.
    """
    if stopping != "file" and Capability.SEARCHES in lacks:
        raise SweepError(
            f"--stopping {stopping} is not possible here: {lacks[Capability.SEARCHES]}",
            remedy=f"leave out --stopping {stopping} (and the file's `detsweep: {{stopping: …}}`), "
            "or choose another backend",
        )
