"""CLEval of receipts of 65 to 175 words, against the authors' release: detection only, quads.

The predictions are the words, jittered: 8 % of the words are split, 8 % merged with the next, 5 %
missed, and 5 predictions a page lie anywhere. What is timed of the release is `evaluation()`, with
its box objects made in advance; for detsweep, all that a caller pays for, from arrays to counts.
"""

import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Contender, compare, console, find_peer, use_threads, version
from benchmarks.pages import SEED, SIZE, Words, draw_pages
from detector.data.page import TextBox
from detector.evaluation.cleval.counts import CLEvalCounts
from detector.evaluation.cleval.evaluate import evaluate_page, evaluate_pages

PAGES = 30
SPLIT, MERGED, MISSED = 0.08, 0.08, 0.05
ANYWHERE = 5
JITTER = 1.2

_OPTIONS = Namespace(
    CASE_SENSITIVE=True,
    VERTICAL_ASPECT_RATIO_THRESH=0.5,
    AREA_PRECISION_CONSTRAINT=0.3,
    RECALL_GRANULARITY_PENALTY_WEIGHT=1.0,
    PRECISION_GRANULARITY_PENALTY_WEIGHT=1.0,
    E2E=False,
    ORIENTATION=False,
    DUMP_SAMPLE_RESULT=False,
)

_FIRST_PAGE = """
import time
import numpy as np
from detector.data.page import TextBox
from detector.evaluation.cleval.evaluate import evaluate_page
word = np.array([[0.0, 0], [80, 0], [80, 20], [0, 20]])
started = time.perf_counter()
evaluate_page([TextBox(word, "word"), TextBox(word + 10, ignore=True)], [word])
print(time.perf_counter() - started)
"""


@dataclass(frozen=True)
class Page:
    """The text of a page and what a detector might find: quads, (4, 2) float64."""

    truth: list[TextBox]
    predictions: list[NDArray[np.float64]]

    def counts(self) -> CLEvalCounts:
        """What detsweep counts."""
        return evaluate_page(self.truth, self.predictions)


def main() -> None:
    """Print the agreement, the table, and how long the first page of a process takes."""
    use_threads(1)
    rng = np.random.default_rng(SEED)
    pages = [draw_page(words, rng) for words in draw_pages(PAGES)]
    peers = []
    if find_peer("cleval", "cleval"):
        peers.append(Contender(version("cleval"), evaluate_by_release, boxes_of_release))
        agreement_with_release(pages)
    score = evaluate_pages((page.truth, page.predictions) for page in pages)
    console.print(f"H-Mean {score.hmean:.4f}, mean of the pages' {score.hmean_pages:.4f}")
    ours = Contender("detsweep", Page.counts)
    compare("CLEval of a page", pages, [ours], peers)
    print_first_page()


def draw_page(words: Words, rng: np.random.Generator) -> Page:
    """Read the words of a page as well as a good detector would."""
    quads = [_ends(polygon) for polygon in words.polygons]
    predictions = []
    fates = rng.random(len(quads))
    merged_before = False
    for i, (quad, fate) in enumerate(zip(quads, fates, strict=True)):
        if merged_before or fate < MISSED:
            merged_before = False
        elif fate < MISSED + SPLIT:
            predictions += _halves(quad)
        elif fate < MISSED + SPLIT + MERGED and i + 1 < len(quads):
            following = quads[i + 1]
            predictions.append(np.array([quad[0], following[1], following[2], quad[3]]))
            merged_before = True
        else:
            predictions.append(quad)
    corners = np.array([[0, 0], [60, 0], [60, 20], [0, 20]])
    predictions += [corners + rng.uniform(0, SIZE - 60, 2) for _ in range(ANYWHERE)]
    jittered = [quad + rng.normal(0, JITTER, (4, 2)) for quad in predictions]
    texts = ["x" * _letters(quad) for quad in quads]
    truth = [TextBox(*box) for box in zip(quads, texts, words.ignore, strict=True)]
    return Page(truth, jittered)


def _ends(polygon: NDArray[np.float32]) -> NDArray[np.float64]:
    """The quad between the ends of a word, from its top left."""
    half = len(polygon) // 2
    return polygon[[0, half - 1, half, -1]].astype(np.float64)


def _halves(quad: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    top, bottom = (quad[0] + quad[1]) / 2, (quad[2] + quad[3]) / 2
    return [np.array([quad[0], top, bottom, quad[3]]), np.array([top, quad[1], quad[2], bottom])]


def _letters(quad: NDArray[np.float64]) -> int:
    """How many letters fill the quad if each is about half as wide as it is high."""
    width, height = np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[3] - quad[0])
    return max(1, round(width / (0.54 * height)))


def boxes_of_release(page: Page) -> tuple[list[Any], list[Any]]:
    """The page as the release takes it; `evaluation` changes its don't-cares."""
    from cleval.box_types import QUAD  # noqa: PLC0415 - a peer may be missing

    truth = [
        QUAD(box.points.ravel().tolist(), transcription=box.text, is_dc=box.ignore)
        for box in page.truth
    ]
    return truth, [QUAD(quad.ravel().tolist()) for quad in page.predictions]


def evaluate_by_release(boxes: tuple[list[Any], list[Any]]) -> CLEvalCounts:
    """What the release counts."""
    from cleval.eval_functions import evaluation  # noqa: PLC0415 - a peer may be missing

    stats = evaluation(_OPTIONS, *boxes).stats
    return CLEvalCounts(
        gt_chars=stats.det.num_char_gt,
        det_chars=stats.det.num_char_det,
        tp_chars=stats.det.num_char_tp_recall,
        fp_chars=stats.det.num_char_fp,
        recall_penalty=stats.det.gran_score_recall,
        precision_penalty=stats.det.gran_score_precision,
        repeated_chars=stats.num_char_overlapped,
        split_boxes=stats.num_splitted,
        merged_boxes=stats.num_merged,
    )


def agreement_with_release(pages: Sequence[Page]) -> None:
    """Print on how many pages every count is the release's."""
    agreeing = sum(page.counts() == evaluate_by_release(boxes_of_release(page)) for page in pages)
    console.print(f"all counts are the release's on {agreeing} of {len(pages)} pages")


def print_first_page() -> None:
    """Time the first page of a new process: without anything compiled, then with."""
    with tempfile.TemporaryDirectory() as cache:
        seconds = [
            subprocess.run(
                [sys.executable, "-c", _FIRST_PAGE],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                check=True,
                capture_output=True,
                encoding="utf-8",
            ).stdout
            for _ in range(2)
        ]
    console.print(
        f"first page of a process: {float(seconds[0]):.1f} s to compile and keep the kernels, "
        f"{float(seconds[1]):.2f} s to load them from then on"
    )


if __name__ == "__main__":
    main()
