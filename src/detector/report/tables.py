"""The report's numbers as a person reads them: headlines and tables, formatted, with no HTML."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from detector.choosing.bootstrap import Interval
from detector.choosing.ranking import Choice
from detector.ensemble.outcome import EnsembleOutcome
from detector.evaluation.score_row import ScoreRow
from detector.report.content import ReportData
from detector.sweep.outcome import SweepOutcome
from detector.sweep.status import count_rungs
from detector.sweep.trial import TrialRecord
from detector.wording import counted

NOTHING = "\N{EN DASH}"


def format_score(value: float | None) -> str:
    """Four decimals, for trials differ in the third.

    >>> format_score(0.87654321), format_score(float("nan"))
    ('0.8765', '–')
    """
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.4f}"


def format_timing(timing: tuple[float, float, float] | None) -> str:
    """Whole milliseconds, with the fastest and the slowest where they differ.

    >>> format_timing((41.7, 39.2, 48.0)), format_timing((41.7, 41.7, 41.7)), format_timing(None)
    ('42 (39–48)', '42', '–')
    """
    if timing is None or not all(map(math.isfinite, timing)):
        return NOTHING
    middle, low, high = (f"{ms:.0f}" for ms in timing)
    return middle if low == high else f"{middle} ({low}\N{EN DASH}{high})"


def format_interval(interval: Interval) -> str:
    """An estimate with its 95 % interval.

    >>> format_interval(Interval(0.0012, -0.0003, 0.0027))
    '0.0012 (-0.0003 to 0.0027)'
    """
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def format_range(limits: tuple[float, float] | None) -> str:
    """
    >>> format_range((0.94, 0.97)), format_range(None)
    ('0.9400 to 0.9700', '–')
    """
    return NOTHING if limits is None else f"{limits[0]:.4f} to {limits[1]:.4f}"


def format_value(value: object) -> str:
    """A parameter's value, short.

    >>> format_value(0.000123456), format_value(20), format_value("resnet18"), format_value(None)
    ('0.0001235', '20', 'resnet18', '–')
    """
    if value is None:
        return NOTHING
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Headline:
    """A number that stands above everything else, and the words around it."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class TrialRow:
    """A line of the table of trials.

    Attributes:
        epoch, value: of its best point.
        behind: its distance to the best score with the interval, empty where it was not compared.
        within_noise: the distance is.
    """

    trial: TrialRecord
    is_best: bool
    epoch: str
    value: str
    behind: str
    within_noise: bool


@dataclass(frozen=True)
class ScoreTable:
    """Scores of several models; what nobody measured has no column."""

    columns: list[str]
    rows: list[tuple[ScoreRow, list[str]]]


_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "recall": ("Recall", format_score),
    "precision": ("Precision", format_score),
    "hmean": ("H-Mean", format_score),
    "interval": ("95 % interval", format_range),
    "hmean_pages": ("Mean of pages", format_score),
    "iou_hmean": ("IoU H-Mean", format_score),
    "timing": ("ms a page", format_timing),
    "megabytes": ("MB", format_value),
    "parity": ("Largest difference of the map", format_value),
}


def headlines(data: ReportData) -> list[Headline]:
    """What a reader wants first: the model, the sweep's best, how much was tried."""
    lines = []
    if data.model:
        lines += _model_headlines(data.model)
    sweep = data.sweep
    if line := _trial_headline(sweep):
        lines.append(line)
    states = Counter(trial.state for trial in sweep.trials)
    note = ", ".join(f"{count} {state}" for state, count in states.most_common())
    lines.append(Headline("Trials", str(len(sweep.trials)), note))
    minutes = sum(t.ended - t.started for t in sweep.trials if t.started and t.ended) / 60
    if minutes:
        note = "all trials together"
        if saved := _minutes_saved(sweep.trials):
            note += f"; stopping early saved about {_length(saved)}"
        lines.append(Headline("Training", _length(minutes), note))
    return lines


def _model_headlines(model: EnsembleOutcome) -> list[Headline]:
    lines = []
    chosen = model.choice.row
    note = f"{chosen.name}, on {counted(chosen.pages, 'held-out page')}"
    if chosen.interval:
        note += f"; {format_range(chosen.interval)} with 95 % confidence"
    lines.append(Headline("H-Mean of the model", format_score(chosen.hmean), note))
    if model.promotion:
        gain = format_interval(model.promotion.gain)
        note = f"{gain} above {model.promotion.baseline}"
        lines.append(Headline("Against the baseline", model.promotion.verdict, note))
    return lines


def _trial_headline(sweep: SweepOutcome) -> Headline | None:
    """The score of the trial that the sweep led to."""
    if sweep.interval and sweep.choice:
        return _choice_headline(sweep.metric, sweep.choice)
    if sweep.best is None or sweep.value is None:
        return None
    note = f"trial {sweep.best.number}, epoch {sweep.epoch}"
    return Headline(f"Best {sweep.metric}", format_score(sweep.value), note)


def _choice_headline(metric: str, choice: Choice) -> Headline:
    """What is within noise of the highest score may be cheaper, and chosen in its place."""
    leader, chosen = choice.standings[0], choice.chosen
    note = f"trial {chosen.trial}"
    if chosen.trial != leader.trial:
        highest = format_score(leader.score.value)
        note += f", within noise of the highest, {highest} of trial {leader.trial}"
    return Headline(f"{metric} of the chosen trial", format_score(chosen.score.value), note)


def _minutes_saved(trials: Sequence[TrialRecord]) -> float:
    """What stopped trials had taken to the last epoch that any trial reached, at their own pace."""
    whole = max((trial.epoch for trial in trials), default=0)
    return sum(
        (t.ended - t.started) / t.epoch * (whole - t.epoch) / 60
        for t in trials
        if t.state == "stopped" and t.started is not None and t.ended is not None and t.epoch
    )


def _length(minutes: float) -> str:
    return f"{minutes / 60:.1f} h" if minutes >= 60 else f"{minutes:.0f} min"


def trial_rows(sweep: SweepOutcome) -> list[TrialRow]:
    """All trials, best first; those without a score last."""
    sign = 1 if sweep.goal == "minimize" else -1

    def rank(trial: TrialRecord) -> tuple[float, int]:
        point = trial.best(sweep.goal)
        return (sign * point[1] if point else math.inf), trial.number

    standings = {s.trial: s for s in sweep.choice.standings} if sweep.choice else {}
    best = sweep.best
    rows = []
    for trial in sorted(sweep.trials, key=rank):
        epoch, value = trial.best(sweep.goal) or (None, None)
        is_best = best is not None and trial.number == best.number
        standing = standings.get(trial.number)
        rows.append(
            TrialRow(
                trial,
                is_best,
                format_value(epoch),
                format_score(value),
                format_interval(standing.behind) if standing else "",
                standing is not None and standing.behind.contains_zero,
            )
        )
    return rows


@dataclass(frozen=True)
class RungRow:
    """A line of the table of rungs.

    Attributes:
        needed: the lowest best score so far of the trials that went on from here.
    """

    epoch: int
    reached: int
    stopped: int
    needed: str


def rung_rows(sweep: SweepOutcome) -> list[RungRow]:
    """How many trials came to each rung, and how many ended there."""
    if not sweep.rungs:
        return []
    better, worse = (min, max) if sweep.goal == "minimize" else (max, min)
    rows = []
    for rung in count_rungs(sweep.trials, sweep.rungs):
        went_on = [
            better(value for epoch, value in trial.curve.items() if epoch <= rung.epoch)
            for trial in sweep.trials
            if trial.curve and max(trial.curve) > rung.epoch >= min(trial.curve)
        ]
        needed = format_score(worse(went_on)) if went_on else NOTHING
        rows.append(RungRow(rung.epoch, rung.reached, rung.stopped, needed))
    return rows


def change_rows(data: ReportData) -> list[tuple[str, str, str]]:
    """What the best configuration changes: key, value before, value now."""
    return [(key, format_value(was), format_value(now)) for key, was, now in data.changes]


def format_percent(part: int, whole: int) -> str:
    """
    >>> format_percent(63, 64), format_percent(0, 0)
    ('98.4 %', '–')
    """
    return f"{100 * part / whole:.1f} %" if whole else NOTHING


def score_table(rows: Sequence[ScoreRow]) -> ScoreTable:
    """Folds or candidates, in the order given."""
    measured = [key for key in _COLUMNS if any(getattr(row, key) is not None for row in rows)]
    return ScoreTable(
        [_COLUMNS[key][0] for key in measured],
        [(row, [_COLUMNS[key][1](getattr(row, key)) for key in measured]) for row in rows],
    )


def varied_parameters(trials: Sequence[TrialRecord]) -> list[str]:
    """The parameters that differ between trials, in the order of the trials' own."""
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    return [name for name in names if len({repr(trial.params.get(name)) for trial in trials}) > 1]


def fixed_parameters(trials: Sequence[TrialRecord]) -> dict[str, str]:
    """The parameters that all trials share, with their value."""
    varied = varied_parameters(trials)
    shared = trials[0].params if trials else {}
    return {name: format_value(value) for name, value in shared.items() if name not in varied}
