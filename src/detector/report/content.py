"""What a report says: plain values, gathered by the pipeline's steps, with no thought of HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from detector.ensemble.outcome import EnsembleOutcome
from detector.evaluation.mistakes import MistakeKind, TextKind
from detector.sweep.outcome import SweepOutcome


@dataclass(frozen=True)
class Overlay:
    """A page, its truth at the left and what was found at the right, as a JPEG."""

    caption: str
    jpeg: bytes


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows; what is empty is left out.

    Attributes:
        sweep: its trials, and the best of them.
        changes: what the best configuration changes: key, value before and value now.
        model: what became of the folds; None in the report of a sweep alone.
        kinds: how the model fares with kinds of text, by what tells them apart.
        mistakes: how often each kind of mistake was made on the held-out pages.
        overlays: the held-out pages that cost it most, the costliest first.
        commands: a label and a command line each, to reproduce the result.
        facts: what else identifies the run: data, model, versions.
    """

    title: str
    sweep: SweepOutcome
    changes: Sequence[tuple[str, object, object]] = ()
    model: EnsembleOutcome | None = None
    kinds: Mapping[str, Sequence[TextKind]] = field(default_factory=dict)
    mistakes: Sequence[MistakeKind] = ()
    overlays: Sequence[Overlay] = ()
    commands: Sequence[tuple[str, str]] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
