"""The last step: the folds become one model, measured on the held-out pages and written as ONNX."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING

from detector.choosing.bootstrap import score
from detector.choosing.candidates import BALANCE
from detector.choosing.pages import PageScores
from detector.console import say
from detector.data.folds import Folds
from detector.data.images import read_image
from detector.data.page import Page
from detector.ensemble.names import fold_name, require_preference
from detector.ensemble.outcome import MODEL, EnsembleOutcome
from detector.errors import DataError
from detector.evaluation.mistakes import PageMistakes, worst_first
from detector.evaluation.overlay import draw_overlay, encode_png
from detector.evaluation.score_row import ScoreRow
from detector.model.published import PPOCR_V4_MOBILE, Published
from detector.report.html import render_report
from detector.steps.child import GRACE_S, Work
from detector.steps.prepare import Prepared
from detector.steps.promote import compare_with_baseline
from detector.steps.report import run_content
from detector.steps.run import Run
from detector.tracking.opening import open_tracker
from detector.version import __version__
from detector.wording import counted

if TYPE_CHECKING:
    from detector.ensemble.build import EnsembleResult


def build_lastingly(
    run: Run, prefer: str, baseline: str, grace_s: float = GRACE_S
) -> EnsembleOutcome:
    """`build` in a child that this process outlives (see `detector.steps.child`)."""
    return Work("ensemble", build, lambda: (run, prefer, baseline), grace_s=grace_s).done()


def build(run: Run, prefer: str = BALANCE, baseline: str = "") -> EnsembleOutcome:
    """Choose between the folds' models and their ensembles, and write the chosen one as ONNX.

    Leaves the model with its card, a report, a picture and the outcome. A model that was built from
    the same before is left as it is.

    Args:
        prefer: see `detector.choosing.candidates.choose_candidate`.
        baseline: see `compare_with_baseline`; empty for none.

    Raises:
        ConfigError: no candidate has the preferred name.
        ExportError: the ONNX model does not agree with its checkpoints, or the baseline is none.
        DataError: no page is held out.
    """
    prepared = Prepared.of(run)
    numbers = prepared.fold_numbers
    require_preference(prefer, numbers)
    with ExitStack() as stack:
        checkpoints = {fold_name(k): stack.enter_context(run.fold(k).checkpoint()) for k in numbers}
        public = PPOCR_V4_MOBILE if PPOCR_V4_MOBILE.file else None
        words = (prefer, baseline, public.name if public else "", __version__)
        inputs = _sha256(checkpoints.values(), *words)
        before = run.ensemble.find_outcome()
        if before is not None and before.inputs == inputs and run.ensemble.is_whole:
            say("the ensemble is built already")
            return before
        folds = run.folds()
        built = _build_model(run, prepared, folds, checkpoints, prefer, public)
    _track(run, prepared)
    say(built.choice.beside_public)
    say(f"the model is {built.choice.chosen}: {built.choice.reason}")
    promotion = compare_with_baseline(built.pages, folds.held_out, baseline) if baseline else None
    if promotion:
        say(promotion.sentence())
    left_out = {fold_name(k): run.fold(k).kept.pages for k in numbers}
    outcome = EnsembleOutcome(
        choice=built.choice,
        folds=[_left_out_row(name, pages) for name, pages in left_out.items()],
        out_of_fold=_left_out_row("all, out of fold", reduce(or_, left_out.values())),
        reused_trial=run.fold(0).trained.reused_trial,
        inputs=inputs,
        promotion=promotion,
    )
    _write(run, prepared, outcome, folds.held_out)
    say(f"chosen: {built.choice.chosen}, written to {run.ensemble.model_url}")
    return outcome


def _build_model(
    run: Run,
    prepared: Prepared,
    folds: Folds,
    checkpoints: Mapping[str, Path],
    prefer: str,
    public: Published | None,
) -> "EnsembleResult":
    if not folds.held_out:
        raise DataError(
            "no page is held out, so the ensemble cannot be measured",
            where=prepared.config.data.path,
            remedy="raise data.held_out_fraction",
        )
    pages = counted(len(folds.held_out), "held-out page")
    say(f"measuring the folds and their ensembles on {pages}")
    # torch takes seconds to import, which a step that finds its work done saves.
    from detector.ensemble.build import build_ensemble  # noqa: PLC0415

    left_out = {fold_name(k): folds.validation(k) for k in prepared.fold_numbers}
    with run.ensemble.opened() as out:
        return build_ensemble(checkpoints, folds, left_out, out.path, prefer, public)


def _track(run: Run, prepared: Prepared) -> None:
    """Have the model kept where the trainings are tracked, if they are."""
    with (
        run.ensemble.opened() as folder,
        open_tracker(prepared.config, folder.path, run.ensemble.name, run.name) as tracker,
    ):
        tracker.model(lambda: folder.path / MODEL)
        tracker.end("finished")


def _write(
    run: Run, prepared: Prepared, outcome: EnsembleOutcome, held_out: Sequence[Page]
) -> None:
    """Put the outcome into the store, with a report and a picture of what the model does."""
    max_pixels = prepared.config.data.max_pixels
    mistakes = _mistakes(run, held_out, max_pixels)
    first = next(page for page in mistakes if page.page is held_out[0])
    report = render_report(run_content(run, prepared, outcome, mistakes))
    run.ensemble.write(outcome, report, _sample(first, max_pixels))


def _sha256(files: Iterable[Path], *words: str) -> str:
    digest = hashlib.sha256(json.dumps(words).encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


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

    with run.ensemble.opened() as folder:
        detect = Detector(folder.path / MODEL)
    return worst_first(held_out, detect, max_pixels)


def _sample(first: PageMistakes, max_pixels: int) -> bytes:
    """A page with what the model finds on it, as a PNG."""
    image = read_image(first.page.image, max_pixels)
    return encode_png(draw_overlay(image, first.predictions, first.page.boxes))
