"""What a report tells: plain values, gathered by the pipeline's steps, with no thought of HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from detector.choosing import Interval
from detector.choosing.promotion import Promotion
from detector.choosing.ranking import Choice
from detector.evaluation.mistakes import TextKind
from detector.evaluation.score_row import ScoreRow
from detector.search.hyperband import Goal
from detector.sweep.trial import TrialRecord


@dataclass(frozen=True)
class Overlay:
    """A page, its truth at the left and what was found at the right, as a JPEG."""

    caption: str
    jpeg: bytes


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows; what is empty is left out.

    Attributes:
        metric, goal: what the sweep optimised, by its key, and in which direction.
        trials: all of the sweep, whatever became of them.
        best: the trial whose parameters were selected.
        choice: why, and how far behind the others are.
        bands: the epochs at which early termination compares trials.
        changes: what the best configuration changes: key, value before and value now.
        folds: each measured on the fold's own pages.
        ensemble: the candidates, all measured on the held-out pages.
        chosen: the name of the candidate that became the model.
        chosen_because: why, as a half sentence.
        thresholds: of the post-processing, and how they came about, in a sentence.
        expected: H-Mean of the choice on pages that did not make it.
        promotion: how the model compares with the one in use.
        kinds: how the model fares with kinds of text, by what tells them apart.
        overlays: the held-out pages that cost it most, the costliest first.
        commands: a label and a command line each, to reproduce the result.
        facts: what else identifies the run: data, model, versions.
    """

    title: str
    sweep_id: str
    metric: str
    goal: Goal
    trials: Sequence[TrialRecord]
    best: TrialRecord | None = None
    choice: Choice | None = None
    bands: Sequence[int] = ()
    changes: Sequence[tuple[str, object, object]] = ()
    folds: Sequence[ScoreRow] = ()
    ensemble: Sequence[ScoreRow] = ()
    chosen: str | None = None
    chosen_because: str | None = None
    thresholds: str | None = None
    expected: Interval | None = None
    promotion: Promotion | None = None
    kinds: Mapping[str, Sequence[TextKind]] = field(default_factory=dict)
    overlays: Sequence[Overlay] = ()
    commands: Sequence[tuple[str, str]] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
