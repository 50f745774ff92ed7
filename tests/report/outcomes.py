"""Outcomes of sweeps, as reports show them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from detector.report.content import ReportData
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import TrialRecord


def a_sweep(trials: Sequence[TrialRecord] = (), **changes: Any) -> SweepOutcome:
    """A sweep of these trials. None is selected."""
    outcome = SweepOutcome("abc", None, True, "val/hmean", "maximize", list(trials), ())
    return replace(outcome, **changes)


def with_sweep(report: ReportData, **changes: Any) -> ReportData:
    """The report of a sweep that is another in these fields."""
    return replace(report, sweep=replace(report.sweep, **changes))
