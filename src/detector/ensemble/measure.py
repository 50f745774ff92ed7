"""What each candidate's file is worth: its scores on the held-out pages, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.choosing import PageScores, score
from detector.choosing.candidates import Candidate
from detector.config.schema import DataConfig, PostprocessConfig
from detector.console import say
from detector.data.images import read_image
from detector.data.page import Page
from detector.detecting.inference import Image, detect_text
from detector.detecting.postprocess import Detections
from detector.ensemble.files import CandidateFile
from detector.evaluation.scoring import Scores, score_pages

_IOU = 0.5


@dataclass(frozen=True)
class CandidateScore:
    """How well one candidate found the text of the held-out pages; scores from 0 to 1.

    Attributes:
        name: "fold 0", "mean of weights", "mean of maps", "fold 0, int8".
        recall, precision, hmean: CLEval over all pages together.
        low, high: the 95 % interval of `hmean`.
        hmean_pages: the mean of the pages' own H-Means.
        iou_hmean: H-Mean of matches at IoU >= 0.5.
        ms_per_page: from pixels to outlines.
        megabytes: of its file.
        parity: see `CandidateFile`.
    """

    name: str
    recall: float
    precision: float
    hmean: float
    low: float
    high: float
    hmean_pages: float
    iou_hmean: float
    ms_per_page: float
    megabytes: float
    parity: float


@dataclass(frozen=True)
class Measured:
    """A candidate with its counts on each page."""

    file: CandidateFile
    pages: PageScores
    score: CandidateScore


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
    row = _score(file, scores, pages)
    say(
        f"{row.name}: CLEval H-Mean {row.hmean:.4f} ({row.low:.4f} to {row.high:.4f}), "
        f"IoU>={_IOU} H-Mean {row.iou_hmean:.4f}, {row.ms_per_page:.0f} ms a page, "
        f"{row.megabytes:.1f} MB"
    )
    return Measured(file, pages, row)


def to_choose_from(measured: Sequence[Measured]) -> list[Candidate]:
    """What is chosen from. Candidates of as many networks in the same precision are equally fast:
    where they were measured otherwise, the machine was busy with something else."""
    fastest: dict[tuple[int, str], float] = {}
    for m in measured:
        kind = m.file.networks, m.file.precision
        fastest[kind] = min(m.score.ms_per_page, fastest.get(kind, m.score.ms_per_page))
    return [
        Candidate(m.file.name, m.pages, fastest[m.file.networks, m.file.precision])
        for m in measured
    ]


def _score(file: CandidateFile, scores: Scores, pages: PageScores) -> CandidateScore:
    interval = score(pages)
    return CandidateScore(
        name=file.name,
        recall=scores.cleval.recall,
        precision=scores.cleval.precision,
        hmean=interval.value,
        low=interval.low,
        high=interval.high,
        hmean_pages=scores.cleval.hmean_pages,
        iou_hmean=scores.iou[_IOU].hmean,
        ms_per_page=scores.ms_per_page,
        megabytes=file.megabytes,
        parity=file.parity,
    )
