"""What the reports tell, gathered from a run: of a sweep at any time, and of a run at its end."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from detector import __version__
from detector.choosing.ranking import Choice
from detector.config import changes_of_preset, values_by_key
from detector.data.images import read_image
from detector.evaluation.mistakes import PageMistakes
from detector.evaluation.overlay import draw_mistakes, encode_jpeg
from detector.report.content import Overlay, ReportData
from detector.report.html import render_report
from detector.steps.run import Run
from detector.sweep.backends import open_backend
from detector.sweep.best import best_trial, override_line
from detector.sweep.trial import TrialRecord
from detector.sweepfile.spec import SweepSpec

WORST = 10
_WORST_BYTES = 60_000
"""Ten pictures of this size leave the report below 3 MB."""


def report_sweep(store_url: str, backend_url: str, sweep_id: str) -> str:
    """The report of a sweep as HTML, whether it runs or has ended.

    Raises:
        SweepError: there is no such sweep.
    """
    run, backend = Run(store_url), open_backend(backend_url)
    spec, trials = backend.spec(sweep_id), backend.trials(sweep_id)
    best, choice = best_trial(trials, spec.metric.goal), None
    if selected := run.selected(sweep_id):
        best = next(trial for trial in trials if trial.number == selected.trial)
        choice = run.choice(sweep_id)
    rungs = backend.rungs(sweep_id)
    return render_sweep(run, sweep_content(run, sweep_id, spec, trials, best, choice, rungs))


def render_sweep(run: Run, content: ReportData) -> str:
    """The report of a sweep alone, as HTML."""
    commands = [*content.commands, *_sweep_commands(run, content.sweep_id)]
    return render_report(replace(content, commands=commands))


def _sweep_commands(run: Run, sweep_id: str) -> list[tuple[str, str]]:
    """The backend is left to the environment: its URL may hold a password."""
    key = f"sweeps/{sweep_id}/sweep.yaml"
    if not run.store.exists(key):
        return []
    again = f"detsweep sweep init {shlex.quote(run.store.url(key))} --store runs/again"
    if config := run.config_of(sweep_id):
        given = changes_of_preset(config)
        data = given.pop("data.path", config.data.path)
        again += f" --data {shlex.quote(str(data))} {override_line(given)}"
    return [
        ("Create the sweep anew", again),
        (
            "Join it, with the DETSWEEP_BACKEND that it was created with",
            f"detsweep sweep agent {sweep_id} --store {shlex.quote(run.store.url())}",
        ),
    ]


def sweep_content(
    run: Run,
    sweep_id: str,
    spec: SweepSpec,
    trials: Sequence[TrialRecord],
    best: TrialRecord | None,
    choice: Choice | None,
    rungs: Sequence[int],
) -> ReportData:
    """What the report of a sweep alone shows."""
    changes: list[tuple[str, object, object]] = []
    commands = []
    if best and spec.trains_detector:
        config = run.config_of(sweep_id)
        before = values_by_key(config) if config else {}
        given = changes_of_preset(config) if config else {}
        changes = [
            (key, before.get(key), value)
            for key, value in best.params.items()
            if before.get(key) != value
        ]
        line = override_line({**given, **best.params})
        commands = [("Train the best configuration", f"detsweep train {line}")]
    return ReportData(
        title=f"Sweep {spec.name or sweep_id}",
        sweep_id=sweep_id,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        trials=trials,
        best=best,
        choice=choice,
        bands=rungs,
        changes=changes,
        commands=commands,
        facts={"detsweep": __version__},
    )


def worst_overlays(pages: Sequence[PageMistakes], max_pixels: int) -> list[Overlay]:
    """The first of the pages with the mistakes on them."""
    overlays = []
    for page in pages[:WORST]:
        image = read_image(page.page.image, max_pixels)
        drawn = draw_mistakes(image, page.predictions, page.page.boxes, page.mistakes)
        overlays.append(Overlay(page.page.name, encode_jpeg(drawn, max_bytes=_WORST_BYTES)))
    return overlays
