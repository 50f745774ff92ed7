"""What each candidate's file is worth: its scores on the held-out pages, and what it costs."""

import math
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

from detector.choosing.bootstrap import Interval, score
from detector.choosing.candidates import Candidate
from detector.choosing.pages import PageScores
from detector.console import say
from detector.data.images import read_image
from detector.data.page import Page
from detector.detecting.inference import Image, detect_text
from detector.detecting.postprocess import Detections
from detector.ensemble.files import CandidateFile
from detector.evaluation.iou_counts import IoUCounts
from detector.evaluation.score_row import ScoreRow
from detector.evaluation.scoring import Scores, score_pages
from detector.pace import paced

_IOU = 0.5
_TIMED_PAGES, _ROUNDS = 2, 5
"""How many pages candidates are timed on, and how often."""


@dataclass(frozen=True)
class Measured:
    """A candidate with what it does on the held-out pages.

    Attributes:
        pages: its counts on each page.
        matches: its outlines that match one of a page's at IoU >= 0.5, by the page's name.
        score: what they come to.
    """

    file: CandidateFile
    pages: PageScores
    matches: Mapping[str, IoUCounts]
    score: ScoreRow

    @property
    def ms_per_page(self) -> float:
        """From pixels to outlines."""
        assert self.score.ms_per_page is not None, "every candidate is timed"
        return self.score.ms_per_page

    def taking(self, times: Sequence[float]) -> "Measured":
        """The same with other times for a page, in milliseconds."""
        score = replace(
            self.score, ms_per_page=median(times), ms_low=min(times), ms_high=max(times)
        )
        return replace(self, score=score)


def measure_candidate(file: CandidateFile, held_out: Sequence[Page]) -> Measured:
    """Measure what a candidate's file does, as `predict` would run it."""
    probability_map = file.probability_map()

    def detect(image: Image) -> Detections:
        return detect_text(image, probability_map, file.data.resize, file.postprocess)

    scores = score_pages(
        paced(held_out, f"measuring {file.name}"), detect, file.data.max_pixels, [_IOU]
    )
    pages = PageScores.of(held_out, scores.cleval)
    interval = score(pages)
    say(
        f"{file.name}: CLEval H-Mean {interval.value:.4f} ({interval.low:.4f} to "
        f"{interval.high:.4f}), IoU>={_IOU} H-Mean {scores.iou[_IOU].hmean:.4f}, "
        f"{file.megabytes:.1f} MB"
    )
    row = _score_row(file, scores, interval, len(pages))
    names = [page.name for page in held_out]
    matches = dict(zip(names, scores.iou_of_pages[_IOU], strict=True))
    return Measured(file, pages, matches, row)


def in_turns(measured: Sequence[Measured], held_out: Sequence[Page]) -> list[Measured]:
    """The same with times that can be compared: medians of rounds in which all take turns.

    A machine that is busy for a while slows a round of all of them, and not one of them.
    """
    most = measured[0].file.data.max_pixels
    images = [read_image(page.image, most) for page in held_out[:_TIMED_PAGES]]
    rounds: dict[str, list[float]] = {m.file.name: [] for m in measured}
    for number in range(1, _ROUNDS + 1):
        say(f"timing all in turns, round {number} of {_ROUNDS}")
        for m in measured:
            # Opened again, so that not all of them are in memory at once.
            detect = partial(
                detect_text,
                probability_map=m.file.probability_map(),
                resize=m.file.data.resize,
                postprocess=m.file.postprocess,
            )
            # The first page takes longer: memory is laid out, kernels are compiled.
            detect(images[0])
            started = time.perf_counter()
            for image in images:
                detect(image)
            seconds = time.perf_counter() - started
            rounds[m.file.name].append(1000 * seconds / len(images))
    kinds = {m.file.name: m.file.kind for m in measured}
    times = by_kind(rounds, kinds)
    return [m.taking(times[m.file.name]) for m in measured]


def by_kind(
    rounds: Mapping[str, Sequence[float]], kinds: Mapping[str, Hashable]
) -> dict[str, list[float]]:
    """The rounds of all that are of one kind, by name: as many networks in the same precision are
    equally fast.

    >>> by_kind({"a": [3.0, 9.0], "b": [5.0], "c": [1.0]}, {"a": 1, "b": 1, "c": 2})
    {'a': [3.0, 9.0, 5.0], 'b': [3.0, 9.0, 5.0], 'c': [1.0]}
    """
    of_kind: dict[Hashable, list[float]] = {}
    for name, times in rounds.items():
        of_kind.setdefault(kinds[name], []).extend(times)
    return {name: of_kind[kinds[name]] for name in rounds}


def to_choose_from(measured: Sequence[Measured]) -> list[Candidate]:
    """What is chosen from, by the scores and times that the tables show."""
    return [Candidate(m.file.name, m.pages, m.ms_per_page, m.matches) for m in measured]


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
