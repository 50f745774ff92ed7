"""Pages that a detector reads with a known chance of finding each character."""

from collections.abc import Callable

import numpy as np
import pytest

from detector.choosing.pages import PageScores
from detector.evaluation.cleval.counts import CLEvalCounts


def page_scores(found: np.ndarray, true: np.ndarray) -> PageScores:
    counts = {
        f"page {i}": CLEvalCounts(gt_chars=int(t), det_chars=int(t), tp_chars=int(f))
        for i, (f, t) in enumerate(zip(found, true, strict=True))
    }
    return PageScores(counts, {})


@pytest.fixture(scope="session")
def draw_detectors() -> Callable[..., list[PageScores]]:
    """Scores of several detectors on the same pages, which are as hard for one as for the other:
    `draw(rng, pages, [0.95, 0.97])` with each detector's true share of found characters."""

    def draw(rng: np.random.Generator, pages: int, shares: list[float]) -> list[PageScores]:
        true = rng.integers(60, 400, size=pages)
        difficulty = rng.normal(0, 0.02, size=pages)
        return [
            page_scores(rng.binomial(true, np.clip(share + difficulty, 0, 1)), true)
            for share in shares
        ]

    return draw
