"""From probability maps to outlines, against RapidOCR's and docTR's DBNet post-processing.

The maps are as a network might give them: the words' shrink maps, blurred, with noise and specks.
All run with the same thresholds, RapidOCR without a limit that these pages reach. docTR's quads are
those of its rotated mode, its only one that gives the text's angle; it has no polygons.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.harness import Contender, compare, console, find_peer, use_threads, version
from benchmarks.pages import SEED, SIZE, Words, draw_pages
from detector.data.page import TextBox
from detector.data.targets import build_targets
from detector.detecting.postprocess import decode
from detector.evaluation.iou import evaluate_iou
from detector.evaluation.iou_counts import IoUCounts
from tests.detecting.reference_postprocess import reference_decode, reference_decode_polygons

THRESH, BOX_THRESH, UNCLIP_RATIO = 0.3, 0.5, 1.5
SPECKS = 40
CHECKED_PAGES = 20

Heat = NDArray[np.float32]
Outlines = Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class Page:
    """The map of a page, (SIZE, SIZE), and the words that it was made from."""

    words: Words
    heat: Heat


def main() -> None:
    """Print the agreement, how many words each finds, and the table."""
    use_threads(1)
    rng = np.random.default_rng(SEED)
    pages = [Page(words, draw_heat(words, rng)) for words in draw_pages()]
    ours = {"detsweep": find_quads, "detsweep, polygons": find_polygons}
    peers = find_peers()
    agreement_with_the_reference(pages[:CHECKED_PAGES])
    for name, find in {**peers, **ours}.items():
        words_found(name, find, pages[:CHECKED_PAGES])
    compare(
        "Post-processing, maps of 1280 x 1280",
        [page.heat for page in pages],
        [Contender(name, find) for name, find in ours.items()],
        [Contender(name, find) for name, find in peers.items()],
    )


def draw_heat(words: Words, rng: np.random.Generator) -> Heat:
    """A probability map of words, as a trained network draws one."""
    kernels = build_targets(words.polygons, [False] * len(words.polygons), SIZE, SIZE).shrink_map
    heat = 0.95 * cv2.GaussianBlur(kernels.astype(np.float32), (5, 5), 1.0)
    heat += rng.normal(0, 0.03, heat.shape).astype(np.float32)
    for _ in range(SPECKS):
        x, y = rng.integers(SIZE, size=2)
        side = rng.integers(1, 4)
        heat[y : y + side, x : x + side] = rng.uniform(0.3, 0.9)
    return np.asarray(np.clip(heat, 0, 1))


# --- The contenders -----------------------------------------------------------------------------


def find_quads(heat: Heat) -> Outlines:
    """Every candidate as a rotated rectangle."""
    return decode(heat, thresh=THRESH, box_thresh=BOX_THRESH, unclip_ratio=UNCLIP_RATIO).polygons


def find_polygons(heat: Heat) -> Outlines:
    """Every candidate as its own polygon."""
    return decode(
        heat, thresh=THRESH, box_thresh=BOX_THRESH, unclip_ratio=UNCLIP_RATIO, polygons=True
    ).polygons


def find_peers() -> dict[str, Callable[[Heat], Outlines]]:
    """What is installed of the peers, by its name in the table."""
    peers: dict[str, Callable[[Heat], Outlines]] = {}
    rapidocr = find_peer("rapidocr.ch_ppocr_det.utils", "rapidocr")
    if rapidocr:
        rapid = rapidocr.DBPostProcess(
            THRESH, BOX_THRESH, max_candidates=3000, unclip_ratio=UNCLIP_RATIO
        )
        peers[version("rapidocr")] = lambda heat: rapid(heat[None, None], heat.shape)[0]
    doctr = find_peer("doctr.models.detection.differentiable_binarization.base", "python-doctr")
    if doctr:
        rotated = doctr.DBPostProcessor(BOX_THRESH, THRESH, assume_straight_pages=False)
        # Of each box the last row holds its score.
        peers[version("python-doctr")] = lambda heat: (
            rotated(heat[None, :, :, None])[0][0][:, :4] * np.float32(SIZE)
        )
    return peers


# --- Agreement ----------------------------------------------------------------------------------


def agreement_with_the_reference(pages: Sequence[Page]) -> None:
    """Against the plain transcription of PaddleOCR's steps that the tests compare with."""
    distances, ious = [], []
    for page in pages:
        # A count that differs is an error here: every difference would be one of order.
        quads = zip(find_quads(page.heat), reference_decode(page.heat), strict=True)
        distances += [np.abs(found - expected).max() for found, (expected, _) in quads]
        polygons = zip(find_polygons(page.heat), reference_decode_polygons(page.heat), strict=True)
        ious += [iou(found, expected) for found, (expected, _) in polygons]
    console.print(
        f"against the plain steps on {len(pages)} pages: {sum(d == 0 for d in distances)} of "
        f"{len(distances)} quads identical, the others within {max(distances):.1f} pixels; "
        f"{sum(each >= 0.99 for each in ious)} of {len(ious)} polygons of IoU 0.99 or more"
    )


def iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two outlines."""
    a, b = (shapely.make_valid(shapely.Polygon(outline)) for outline in (one, other))
    return float(a.intersection(b).area / a.union(b).area)


def words_found(name: str, find: Callable[[Heat], Outlines], pages: Sequence[Page]) -> None:
    """Print how many of the words a contender finds at IoU 0.5, and how much else."""
    counts = IoUCounts(0, 0, 0)
    for page in pages:
        truth = [TextBox(polygon.astype(np.float64)) for polygon in page.words.polygons]
        counts += evaluate_iou(truth, list(find(page.heat)), 0.5)
    console.print(
        f"{name}: {counts.matched} of {counts.truths} words found, {counts.predictions} outlines",
        markup=False,
    )


if __name__ == "__main__":
    main()
