"""What each candidate's file is worth: its scores on the held-out pages, and what it costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detector.choosing.bootstrap import Interval, score
from detector.choosing.candidates import Candidate
from detector.choosing.pages import PageScores
from detector.config.schema import DataConfig, PostprocessConfig
from detector.console import say
from detector.data.images import read_image
from detector.data.page import Page
from detector.detecting.inference import Image, detect_text
from detector.detecting.postprocess import Detections
from detector.ensemble.files import CandidateFile
from detector.evaluation.score_row import ScoreRow
from detector.evaluation.scoring import Scores, score_pages

_IOU = 0.5


@dataclass(frozen=True)
class Measured:
    """A candidate with what it does on the held-out pages.

    Attributes:
        pages: its counts on each page.
        score: what they come to.
        ms_per_page: from pixels to outlines.
    """

    file: CandidateFile
    pages: PageScores
    score: ScoreRow
    ms_per_page: float


def measure_candidate(
    file: CandidateFile,
    data: DataConfig,
    postprocess: PostprocessConfig,
    held_out: Sequence[Page],
) -> Measured:
    """Measure what a candidate's file does, as `predict` would run it."""
    probability_map = file.probability_map(data)

    def detect(image: Image) -> Detections:
        return detect_text(image, probability_map, data.resize, postprocess)

    # The first page takes longer: memory is laid out, kernels are compiled.
    detect(read_image(held_out[0].image, data.max_pixels))
    scores = score_pages(held_out, detect, data.max_pixels, [_IOU])
    pages = PageScores.of(held_out, scores.cleval)
    interval = score(pages)
    say(
        f"{file.name}: CLEval H-Mean {interval.value:.4f} ({interval.low:.4f} to "
        f"{interval.high:.4f}), IoU>={_IOU} H-Mean {scores.iou[_IOU].hmean:.4f}, "
        f"{scores.ms_per_page:.0f} ms a page, {file.megabytes:.1f} MB"
    )
    row = _score_row(file, scores, interval, len(pages))
    return Measured(file, pages, row, scores.ms_per_page)


def to_choose_from(measured: Sequence[Measured]) -> list[Candidate]:
    """What is chosen from. Candidates of as many networks in the same precision are equally fast:
    where they were measured otherwise, the machine was busy with something else."""
    fastest: dict[tuple[int, str], float] = {}
    for m in measured:
        kind = m.file.networks, m.file.precision
        fastest[kind] = min(m.ms_per_page, fastest.get(kind, m.ms_per_page))
    return [
        Candidate(m.file.name, m.pages, fastest[m.file.networks, m.file.precision])
        for m in measured
    ]


def _score_row(file: CandidateFile, scores: Scores, interval: Interval, pages: int) -> ScoreRow:
    return ScoreRow(
        name=file.name,
        pages=pages,
        recall=scores.cleval.recall,
        precision=scores.cleval.precision,
        hmean=interval.value,
        hmean_pages=scores.cleval.hmean_pages,
        iou_hmean=scores.iou[_IOU].hmean,
        ms_per_page=scores.ms_per_page,
        low=interval.low,
        high=interval.high,
        megabytes=file.megabytes,
        # Numbers that float16 does not reach have no difference.
        parity=None if math.isnan(file.parity) else file.parity,
    )
