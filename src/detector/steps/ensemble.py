"""The last step: the folds become one model, measured on the held-out pages and written as ONNX."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING

from detector.choosing import Interval, PageScores, score
from detector.choosing.candidates import BALANCE
from detector.choosing.promotion import Promotion
from detector.config import changes_of_preset
from detector.console import say
from detector.data.images import read_image
from detector.data.page import Page
from detector.errors import DataError
from detector.evaluation.mistakes import PageMistakes, by_kind, worst_first
from detector.evaluation.overlay import draw_overlay, encode_png
from detector.evaluation.score_row import ScoreRow
from detector.report.html import render_report
from detector.steps.child import GRACE_S, Work
from detector.steps.fold import FoldResult, read_fold_results
from detector.steps.prepare import Prepared
from detector.steps.promote import compare_with_baseline
from detector.steps.report import sweep_content, worst_overlays
from detector.steps.run import Best, Run, fold_key
from detector.sweep.best import override_line
from detector.sweepfile.spec import parse_sweep
from detector.tracking.tracker import open_tracker

if TYPE_CHECKING:
    from detector.ensemble.build import EnsembleResult

FOLDER = "ensemble"
SUMMARY = f"{FOLDER}/summary.json"
MODEL = f"{FOLDER}/model.onnx"
CARD = f"{FOLDER}/card.json"
PROMOTION = f"{FOLDER}/promotion.json"
REPORT = f"{FOLDER}/report.html"
OVERLAY = f"{FOLDER}/overlay.png"
BEST_CHECKPOINT = "best.ckpt"


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
        out_of_fold: all of them together, each page by the fold that left it out.
        candidates: measured on the held-out pages; the model is the one named `chosen`.
        chosen_because: why, as a half sentence.
        thresholds: whether they were tuned, and what it is worth, in a sentence.
        expected: H-Mean of the choice on pages that did not make it.
        promotion: how the model compares with the one in use, None without a baseline.
        reused_trial: the trial that is fold 0's model, None if that was trained again.
        model, card, report, overlay: URLs.
        inputs: SHA-256 of what the model was built from: checkpoints, preference and baseline.
    """

    sweep_id: str
    best: Best
    trials: list[TrialScore]
    folds: list[ScoreRow]
    out_of_fold: ScoreRow
    candidates: list[ScoreRow]
    chosen: str
    chosen_because: str
    thresholds: str
    expected: Interval
    promotion: Promotion | None
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
        tree["out_of_fold"] = ScoreRow(**tree["out_of_fold"])
        tree["candidates"] = [ScoreRow(**row) for row in tree["candidates"]]
        tree["expected"] = Interval(**tree["expected"])
        if tree["promotion"]:
            tree["promotion"] = Promotion.from_dict(tree["promotion"])
        return cls(**tree)

    def to_json(self) -> str:
        tree = asdict(self)
        if self.promotion:
            tree["promotion"] = self.promotion.to_dict()
        return json.dumps(tree, indent=1)


def build_lastingly(
    store_url: str, sweep_id: str, prefer: str, baseline: str, grace_s: float = GRACE_S
) -> Summary:
    """`build` in a child that this process outlives (see `detector.steps.child`)."""
    arguments = (store_url, sweep_id, prefer, baseline)
    return Work("ensemble", build, lambda: arguments, grace_s=grace_s).done()


def build(store_url: str, sweep_id: str, prefer: str = BALANCE, baseline: str = "") -> Summary:
    """Choose between the folds' models and their ensembles, and write the chosen one as ONNX.

    Writes model.onnx, card.json, report.html, overlay.png and summary.json, and with a baseline
    promotion.json. A model that was built from the same before is left as it is.

    Args:
        prefer: see `detector.choosing.candidates.choose_candidate`.
        baseline: see `compare_with_baseline`; empty for none.

    Raises:
        ConfigError: no candidate has the preferred name.
        ExportError: the ONNX model does not agree with its checkpoints, or the baseline is none.
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
        inputs = _sha256(checkpoints.values(), prefer, baseline)
        if run.store.exists(SUMMARY):
            summary = read_summary(store_url)
            if summary.inputs == inputs:
                say("the ensemble is built already")
                return summary
        folds = run.folds()
        held_out = folds.held_out
        if not held_out:
            raise DataError(
                "no page is held out, so the ensemble cannot be measured",
                where=prepared.config.data.path,
                remedy="raise data.held_out_fraction",
            )
        say(f"measuring the folds and their ensembles on {len(held_out)} held-out pages")
        # torch takes seconds to import, which a step that finds its work done saves.
        from detector.ensemble.build import build_ensemble  # noqa: PLC0415

        with run.store.folder(FOLDER) as out:
            left_out = {f"fold {k}": folds.validation(k) for k in prepared.fold_numbers}
            built = build_ensemble(checkpoints, folds, left_out, out.path, prefer)
    _track(run, prepared)
    say(f"the model is {built.chosen}: {built.reason}")
    promotion = compare_with_baseline(built.pages, held_out, baseline) if baseline else None
    if promotion:
        say(promotion.sentence())
        run.store.write(PROMOTION, json.dumps(promotion.to_dict(), indent=1))
    summary = _summarise(run, sweep_id, prepared, results, built, promotion, inputs)
    max_pixels = prepared.config.data.max_pixels
    mistakes = _mistakes(run, held_out, max_pixels)
    first = next(page for page in mistakes if page.page is held_out[0])
    run.store.write(OVERLAY, _sample(first, max_pixels))
    run.store.write(REPORT, _report(run, summary, prepared, mistakes))
    # Last, for its presence says that all of them are written.
    run.store.write(SUMMARY, summary.to_json())
    say(f"chosen: {summary.chosen}, written to {summary.model}")
    return summary


def _track(run: Run, prepared: Prepared) -> None:
    """Have the model kept where the trainings are tracked, if they are."""
    group = Path(run.store.url()).name
    with (
        run.store.folder(FOLDER) as folder,
        open_tracker(prepared.config, folder.path, FOLDER, group) as tracker,
    ):
        tracker.model(lambda: folder.path / "model.onnx")
        tracker.end("finished")


def read_summary(store_url: str) -> Summary:
    """The summary of a run that has come to its end."""
    return Summary.from_json(Run(store_url).store.read(SUMMARY).decode())


def _sha256(files: Iterable[Path], *words: str) -> str:
    digest = hashlib.sha256(json.dumps(words).encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _summarise(
    run: Run,
    sweep_id: str,
    prepared: Prepared,
    results: Sequence[FoldResult],
    built: "EnsembleResult",
    promotion: Promotion | None,
    inputs: str,
) -> Summary:
    spec = parse_sweep(run.sweep_yaml(sweep_id), "sweep.yaml")
    trials = []
    for trial in run.trials(sweep_id):
        epoch, value = trial.best(spec.metric.goal) or (None, None)
        trials.append(TrialScore(trial.number, trial.state, epoch, value))
    left_out = {fold: run.pages(fold_key(fold)) for fold in prepared.fold_numbers}
    return Summary(
        sweep_id=sweep_id,
        best=run.best(sweep_id),
        trials=trials,
        folds=[_left_out_row(f"fold {fold}", pages) for fold, pages in left_out.items()],
        out_of_fold=_left_out_row("all, out of fold", reduce(or_, left_out.values())),
        candidates=list(built.candidates),
        chosen=built.chosen,
        chosen_because=built.reason,
        thresholds=built.tuned.reason,
        expected=score(built.pages),
        promotion=promotion,
        reused_trial=results[0].reused_trial,
        model=run.store.url(MODEL),
        card=run.store.url(CARD),
        report=run.store.url(REPORT),
        overlay=run.store.url(OVERLAY),
        inputs=inputs,
    )


def _left_out_row(name: str, pages: PageScores) -> ScoreRow:
    """An honest score: of pages that the model or models were not trained on."""
    interval, together = score(pages), pages.together
    return ScoreRow(
        name=name,
        pages=len(pages),
        recall=together.recall,
        precision=together.precision,
        hmean=together.hmean,
        hmean_pages=together.hmean_pages,
        iou_hmean=None,
        ms_per_page=None,
        low=interval.low,
        high=interval.high,
    )


def _mistakes(run: Run, held_out: Sequence[Page], max_pixels: int) -> list[PageMistakes]:
    """What the model does wrong on the held-out pages, the costliest first."""
    from detector.export.detector import Detector  # noqa: PLC0415

    with run.store.folder(FOLDER) as folder:
        detect = Detector(folder.path / "model.onnx")
    return worst_first(held_out, detect, max_pixels)


def _sample(first: PageMistakes, max_pixels: int) -> bytes:
    """A page with what the model finds on it, as a PNG."""
    image = read_image(first.page.image, max_pixels)
    return encode_png(draw_overlay(image, first.predictions, first.page.boxes))


def _report(
    run: Run, summary: Summary, prepared: Prepared, mistakes: Sequence[PageMistakes]
) -> str:
    spec = parse_sweep(run.sweep_yaml(summary.sweep_id), "sweep.yaml")
    trials, best = run.trials(summary.sweep_id), summary.best
    winner = next(trial for trial in trials if trial.number == best.trial)
    choice = run.choice(summary.sweep_id)
    rungs = run.rungs(summary.sweep_id)
    sweep = sweep_content(run, summary.sweep_id, spec, trials, winner, choice, rungs)
    config = prepared.config
    given = {k: v for k, v in changes_of_preset(config).items() if k != "data.path"}
    sweep_file = run.store.url(f"sweeps/{summary.sweep_id}/sweep.yaml")
    return render_report(
        replace(
            sweep,
            title=spec.name or summary.sweep_id,
            folds=[*summary.folds, summary.out_of_fold],
            ensemble=summary.candidates,
            chosen=summary.chosen,
            chosen_because=summary.chosen_because,
            thresholds=summary.thresholds,
            expected=summary.expected,
            promotion=summary.promotion,
            kinds={name.capitalize(): rows for name, rows in by_kind(mistakes).items() if rows},
            overlays=worst_overlays(mistakes, config.data.max_pixels),
            commands=[
                (
                    "Run it again",
                    f"detsweep run --data {shlex.quote(config.data.path)} "
                    f"--sweep {shlex.quote(sweep_file)} {override_line(given)}",
                ),
                *sweep.commands,
                ("Find text", f"detsweep predict --model {shlex.quote(summary.model)} PAGE.jpg"),
                (
                    "See what it gets wrong",
                    f"detsweep errors --model {shlex.quote(summary.model)} "
                    f"--data {shlex.quote(config.data.path)}",
                ),
            ],
            facts={
                "data set": config.data.path,
                **{name: str(count) for name, count in prepared.page_counts.items()},
                "data digest": prepared.manifest.digest(),
                **sweep.facts,
            },
        )
    )
