"""The last step: the folds become one model, measured on the held-out pages and written as ONNX."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detector import __version__
from detector.console import say
from detector.data.images import read_image
from detector.data.page import Page
from detector.errors import DataError
from detector.overlay import draw_overlay, encode_jpeg, encode_png
from detector.report.content import Overlay, ReportData, ScoreRow
from detector.report.html import render_report
from detector.steps.fold import FoldResult, read_fold_results
from detector.steps.prepare import Prepared
from detector.steps.run import Best, Run, fold_key
from detector.sweep.spec import parse_sweep

if TYPE_CHECKING:
    from detector.ensemble import CandidateScore, EnsembleResult

FOLDER = "ensemble"
SUMMARY = f"{FOLDER}/summary.json"
MODEL = f"{FOLDER}/model.onnx"
CARD = f"{FOLDER}/card.json"
REPORT = f"{FOLDER}/report.html"
OVERLAY = f"{FOLDER}/overlay.png"
BEST_CHECKPOINT = "best.ckpt"

_OVERLAYS = 4


@dataclass(frozen=True)
class TrialScore:
    """A trial's best epoch; both None where it has no score."""

    number: int
    state: str
    epoch: int | None
    value: float | None


@dataclass(frozen=True)
class Summary:
    """What the run came to.

    Attributes:
        trials: measured by the sweep's metric on the pages of fold 0.
        folds: measured on their own pages.
        candidates: measured on the held-out pages; the model is the one named `chosen`.
        reused_trial: the trial that is fold 0's model, None if that was trained again.
        model, card, report, overlay: URLs.
        inputs: SHA-256 of the folds' checkpoints, which the model was built from.
    """

    sweep_id: str
    best: Best
    trials: list[TrialScore]
    folds: list[ScoreRow]
    candidates: list[ScoreRow]
    chosen: str
    reused_trial: int | None
    model: str
    card: str
    report: str
    overlay: str
    inputs: str

    @classmethod
    def from_json(cls, text: str) -> "Summary":
        tree = json.loads(text)
        tree["best"] = Best(**tree["best"])
        tree["trials"] = [TrialScore(**trial) for trial in tree["trials"]]
        tree["folds"] = [ScoreRow(**row) for row in tree["folds"]]
        tree["candidates"] = [ScoreRow(**row) for row in tree["candidates"]]
        return cls(**tree)


def build(store_url: str, sweep_id: str) -> Summary:
    """Choose between the folds' models and their ensembles, and write the chosen one as ONNX.

    Writes model.onnx, card.json, report.html, overlay.png and summary.json. A model that was built
    from the same checkpoints before is left as it is.

    Raises:
        ExportError: the ONNX model does not agree with its checkpoints.
        DataError: no page is held out.
    """
    run = Run(store_url)
    prepared = Prepared(run.config(), run.manifest())
    results = read_fold_results(run, prepared.fold_numbers)
    with ExitStack() as stack:
        folders = [
            stack.enter_context(run.store.folder(fold_key(k))) for k in prepared.fold_numbers
        ]
        checkpoints = {
            f"fold {k}": folder.path / BEST_CHECKPOINT
            for k, folder in zip(prepared.fold_numbers, folders, strict=True)
        }
        inputs = _sha256(checkpoints.values())
        if run.store.exists(SUMMARY):
            summary = read_summary(store_url)
            if summary.inputs == inputs:
                say("the ensemble is built already")
                return summary
        held_out = run.folds().held_out
        if not held_out:
            raise DataError(
                "no page is held out, so the ensemble cannot be measured",
                where=prepared.config.data.path,
                remedy="raise data.held_out_fraction",
            )
        say(f"measuring the folds and their ensembles on {len(held_out)} held-out pages")
        # torch takes seconds to import, which a step that finds its work done saves.
        from detector.ensemble import build_ensemble  # noqa: PLC0415

        with run.store.folder(FOLDER) as out:
            built = build_ensemble(checkpoints, held_out, out.path)
    summary = _summarise(run, sweep_id, prepared, results, built, len(held_out), inputs)
    overlays = _draw_overlays(run, held_out)
    run.store.write(OVERLAY, encode_png(overlays[0][1]))
    run.store.write(REPORT, _report(run, summary, prepared, overlays))
    # Last, for its presence says that all of them are written.
    run.store.write(SUMMARY, json.dumps(asdict(summary), indent=1))
    say(f"chosen: {summary.chosen}, written to {summary.model}")
    return summary


def read_summary(store_url: str) -> Summary:
    """The summary of a run that has come to its end."""
    return Summary.from_json(Run(store_url).store.read(SUMMARY).decode())


def _sha256(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _summarise(
    run: Run,
    sweep_id: str,
    prepared: Prepared,
    results: Sequence[FoldResult],
    built: "EnsembleResult",
    held_out: int,
    inputs: str,
) -> Summary:
    spec = parse_sweep(run.sweep_yaml(sweep_id), "sweep.yaml")
    trials = []
    for trial in run.trials(sweep_id):
        epoch, value = trial.best(spec.metric.goal) or (None, None)
        trials.append(TrialScore(trial.number, trial.state, epoch, value))
    return Summary(
        sweep_id=sweep_id,
        best=run.best(sweep_id),
        trials=trials,
        folds=[_fold_row(result, prepared) for result in results],
        candidates=[_candidate_row(score, held_out) for score in built.candidates],
        chosen=built.chosen,
        reused_trial=results[0].reused_trial,
        model=run.store.url(MODEL),
        card=run.store.url(CARD),
        report=run.store.url(REPORT),
        overlay=run.store.url(OVERLAY),
        inputs=inputs,
    )


def _fold_row(result: FoldResult, prepared: Prepared) -> ScoreRow:
    scores = result.scores
    return ScoreRow(
        name=f"fold {result.fold}",
        pages=sum(page.fold == result.fold for page in prepared.manifest.pages),
        recall=scores["val/recall"],
        precision=scores["val/precision"],
        hmean=scores["val/hmean"],
        hmean_pages=scores["val/hmean_pages"],
        iou_hmean=None,
        ms_per_page=None,
    )


def _candidate_row(score: "CandidateScore", pages: int) -> ScoreRow:
    # A score of nothing, such as the precision of a model that found no text, is no number.
    measured: dict[str, Any] = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(score).items()
    }
    return ScoreRow(pages=pages, **measured)


def _draw_overlays(run: Run, pages: Sequence[Page]) -> list[tuple[str, NDArray[np.uint8]]]:
    """Name and picture of a few held-out pages, evenly taken from all of them."""
    from detector.predict import Detector  # noqa: PLC0415

    max_pixels = run.config().data.max_pixels
    shown = [pages[i * len(pages) // _OVERLAYS] for i in range(min(_OVERLAYS, len(pages)))]
    with run.store.folder(FOLDER) as folder:
        detector = Detector.load(folder.path / "model.onnx")
        images = [(page, read_image(page.image, max_pixels)) for page in shown]
        return [
            (page.name, draw_overlay(image, detector.detect(image).polygons, page.boxes))
            for page, image in images
        ]


def _report(
    run: Run,
    summary: Summary,
    prepared: Prepared,
    overlays: Sequence[tuple[str, NDArray[np.uint8]]],
) -> str:
    spec = parse_sweep(run.sweep_yaml(summary.sweep_id), "sweep.yaml")
    trials = run.trials(summary.sweep_id)
    return render_report(
        ReportData(
            title=spec.name or summary.sweep_id,
            sweep_id=summary.sweep_id,
            metric=spec.metric.name,
            goal=spec.metric.goal,
            trials=trials,
            best=next(trial for trial in trials if trial.number == summary.best.trial),
            bands=spec.bands(),
            folds=summary.folds,
            ensemble=summary.candidates,
            chosen=summary.chosen,
            overlays=[Overlay(name, encode_jpeg(picture)) for name, picture in overlays],
            commands=[("Find text", f"detsweep predict --model {summary.model} PAGE.jpg")],
            facts={
                "data set": prepared.config.data.path,
                **{name: str(count) for name, count in prepared.page_counts.items()},
                "data digest": prepared.manifest.digest(),
                "detsweep": __version__,
            },
        )
    )
