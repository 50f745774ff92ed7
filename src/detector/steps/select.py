"""The fourth step: choose the sweep's best configuration, and report the sweep."""

import json
from dataclasses import asdict, dataclass

from detector.console import say
from detector.errors import SweepError
from detector.report.content import ReportData
from detector.report.html import render_report
from detector.steps.run import Best, Run
from detector.sweep.backends import open_backend
from detector.sweep.best import best_trial, override_line, override_words


@dataclass(frozen=True)
class Selection:
    """The best trial, and the sweep's report as HTML."""

    best: Best
    report: str


def select(store_url: str, backend_url: str, sweep_id: str) -> Selection:
    """Write best.yaml and report.html of the sweep.

    Raises:
        SweepError: no trial has a score.
    """
    run = Run(store_url)
    backend = open_backend(backend_url)
    spec, trials = backend.spec(sweep_id), backend.trials(sweep_id)
    winner = best_trial(trials, spec.metric.goal)
    point = winner.best(spec.metric.goal) if winner else None
    if winner is None or point is None:
        reasons = "; ".join(f"trial {t.number}: {t.reason}" for t in trials if t.reason)
        raise SweepError(
            f"none of the {len(trials)} trials has a score. {reasons}",
            where=f"sweep {sweep_id}",
            remedy="mend the reason, then begin a new run in another store",
        )
    best = Best(
        trial=winner.number,
        params=dict(winner.params),
        metric=spec.metric.name,
        value=point[1],
        epoch=point[0],
        overrides=override_words(winner.params),
    )
    report = render_report(
        ReportData(
            title=f"Sweep {spec.name or sweep_id}",
            sweep_id=sweep_id,
            metric=spec.metric.name,
            goal=spec.metric.goal,
            trials=trials,
            best=winner,
            bands=spec.bands(),
            commands=[
                ("Train the best configuration", f"detsweep train {override_line(winner.params)}")
            ],
        )
    )
    run.store.write(f"sweeps/{sweep_id}/best.yaml", best.to_yaml())
    run.store.write(f"sweeps/{sweep_id}/trials.json", json.dumps([asdict(t) for t in trials]))
    run.store.write(f"sweeps/{sweep_id}/report.html", report)
    say(f"best of {len(trials)} trials: trial {best.trial}, {best.metric} {best.value:.4f}")
    return Selection(best, report)
