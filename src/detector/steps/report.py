"""What the reports say, gathered from a run: of a sweep at any time, and of a run at its end."""

import os
import platform
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from detector.config.loading import changes_of_preset, values_by_key
from detector.data.images import read_image
from detector.ensemble.outcome import EnsembleOutcome
from detector.evaluation.mistakes import PageMistakes, by_kind, count_kinds
from detector.evaluation.overlay import draw_mistakes, encode_jpeg
from detector.export.card import Card
from detector.report.content import Overlay, ReportData
from detector.report.html import render_report
from detector.steps.prepare import Prepared
from detector.steps.run import Run
from detector.sweep.best import override_line
from detector.sweep.outcome import SweepOutcome
from detector.sweep.protocol import Sweep
from detector.version import __version__
from detector.wording import counted

WORST = 10
_WORST_BYTES = 60_000
"""Ten pictures of this size leave the report below 3 MB."""


def report_sweep(run: Run, sweep: Sweep) -> str:
    """The report of a sweep as HTML, whether it runs or has ended."""
    outcome = SweepOutcome.so_far(sweep)
    if selected := run.find_outcome():
        outcome = replace(outcome, choice=selected.choice, kept_epoch=selected.kept_epoch)
    return render_sweep(run, outcome)


def render_sweep(run: Run, outcome: SweepOutcome) -> str:
    """The report of a sweep alone, as HTML."""
    content = sweep_content(run, outcome)
    return render_report(replace(content, commands=[*content.commands, *_sweep_commands(run)]))


def _sweep_commands(run: Run) -> list[tuple[str, str]]:
    """The backend is left to the environment: its URL may hold a password."""
    if not run.has_sweep_file:
        return []
    again = f"detsweep sweep init {shlex.quote(run.sweep_file_url)} --store runs/again"
    if config := run.config_of_sweep:
        given = changes_of_preset(config)
        data = given.pop("data.path", config.data.path)
        again += f" --data {shlex.quote(str(data))} {override_line(given)}"
    return [
        ("Create the sweep again", again),
        (
            "Join it, with the DETSWEEP_BACKEND that it was created with",
            f"detsweep sweep agent {run.sweep} --store {shlex.quote(run.url)}",
        ),
    ]


def sweep_content(run: Run, outcome: SweepOutcome) -> ReportData:
    """What the report of a sweep alone shows."""
    changes: list[tuple[str, object, object]] = []
    commands = []
    if outcome.best and outcome.trains_detector:
        config = run.config_of_sweep
        before = values_by_key(config) if config else {}
        given = changes_of_preset(config) if config else {}
        changes = [
            (key, before.get(key), value)
            for key, value in outcome.best.params.items()
            if before.get(key) != value
        ]
        line = override_line({**given, **outcome.best.params})
        commands = [("Train the best configuration", f"detsweep train {line}")]
    return ReportData(
        title=f"Sweep {outcome.name or outcome.id}",
        sweep=outcome,
        changes=changes,
        commands=commands,
        facts={
            "made": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
            "versions": ", ".join(f"{name} {known}" for name, known in _versions().items()),
            "machine": _machine(),
        },
    )


def _versions() -> dict[str, str]:
    """What trained and measured."""
    packages = ("torch", "onnxruntime", "onnxruntime-gpu")
    installed = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            installed[package] = version(package)
    return {"detsweep": __version__, **installed, "Python": platform.python_version()}


def _machine() -> str:
    """What a report was made on: its processor, its cores, its system."""
    described = Path("/proc/cpuinfo")
    text = described.read_text(encoding="utf-8") if described.is_file() else ""
    model = re.search(r"^model name\s*: (.+)$", text, re.M)
    name = model[1] if model else platform.processor() or platform.machine()
    return f"{name}, {counted(os.cpu_count() or 1, 'core')}, {platform.system()}"


def run_content(
    run: Run, prepared: Prepared, model: EnsembleOutcome, mistakes: Sequence[PageMistakes]
) -> ReportData:
    """What the report of a whole run shows.

    Args:
        mistakes: of the model on the held-out pages, the costliest first.
    """
    outcome, config = run.outcome, prepared.config
    sweep = sweep_content(run, outcome)
    return replace(
        sweep,
        title=outcome.name or outcome.id,
        model=model,
        kinds={name.capitalize(): rows for name, rows in by_kind(mistakes).items() if rows},
        mistakes=count_kinds(mistakes),
        overlays=_worst_overlays(mistakes, config.data.max_pixels),
        commands=_run_commands(run, prepared, sweep.commands),
        facts={
            "data set": config.data.path,
            **{name: str(count) for name, count in prepared.page_counts.items()},
            "data digest (SHA-256)": prepared.manifest.digest(),
            **_weights(run.ensemble.card),
            **sweep.facts,
        },
    )


def _weights(card: Card) -> dict[str, str]:
    """Whose weights the model started from, if they were not drawn at random."""
    return {"weights it started from": card.started_from} if card.started_from else {}


def _run_commands(
    run: Run, prepared: Prepared, of_sweep: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    data, model = shlex.quote(prepared.config.data.path), shlex.quote(run.ensemble.model_url)
    given = {k: v for k, v in changes_of_preset(prepared.config).items() if k != "data.path"}
    return [
        (
            "Run it again",
            f"detsweep run --data {data} "
            f"--sweep {shlex.quote(run.sweep_file_url)} {override_line(given)}",
        ),
        *of_sweep,
        ("Find text", f"detsweep predict --model {model} PAGE.jpg"),
        ("See what it gets wrong", f"detsweep errors --model {model} --data {data}"),
    ]


def _worst_overlays(pages: Sequence[PageMistakes], max_pixels: int) -> list[Overlay]:
    """The first of the pages with the mistakes on them."""
    overlays = []
    for page in pages[:WORST]:
        image = read_image(page.page.image, max_pixels)
        drawn = draw_mistakes(image, page.predictions, page.page.boxes, page.mistakes)
        overlays.append(Overlay(page.page.name, encode_jpeg(drawn, max_bytes=_WORST_BYTES)))
    return overlays
