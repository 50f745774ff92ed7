"""Intervals of the micro H-Mean and of differences between two, by bootstrap over pages.

Pages are drawn with replacement, all pages of a group together, and the counts of those drawn are
summed before the formula is applied: the interval is of the score that is reported, not of a mean
of pages. A difference draws the same pages for both detectors (Efron and Tibshirani 1993, chapter
8), so what is hard for both cancels. The percentiles are widened for few groups (Hesterberg 2015,
"What Teachers Should Know About the Bootstrap", section 4.3: expanded percentile interval), where
plain ones are too narrow.

The interval knows the noise of the pages, not that of the training: another seed gives another
model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.choosing.pages import PageScores
from detector.errors import DataError
from detector.evaluation.iou_counts import IoUCounts
from detector.evaluation.ratios import harmonic_mean, share
from detector.wording import counted

LEVEL = 0.95
DRAWS = 4000
_SEED = 20
"""Fixed, so that the same counts have the same interval wherever and whenever they are read."""


@dataclass(frozen=True)
class Interval:
    """An estimate and where the true value is expected to lie.

    Attributes:
        value: what was measured.
        low, high: of the 95 % interval. From less than two groups of pages nothing can be known, so
            it is everything that a score or a difference can be.
    """

    value: float
    low: float
    high: float

    @property
    def contains_zero(self) -> bool:
        """Of a difference: it is within noise."""
        return self.low <= 0 <= self.high

    def __neg__(self) -> "Interval":
        """The difference the other way round."""
        return Interval(-self.value, -self.high, -self.low)


def score(pages: PageScores, *, draws: int = DRAWS, seed: int = _SEED) -> Interval:
    """The micro H-Mean on the pages."""
    names = list(pages.counts)
    sums = _by_cluster(pages, names, pages.clusters(names))
    drawn = _hmean(_weights(len(sums), draws, seed) @ sums)
    return _interval(pages.total.hmean, drawn, len(sums), least=0)


def difference(
    of: PageScores, to: PageScores, *, draws: int = DRAWS, seed: int = _SEED
) -> Interval:
    """By how much the micro H-Mean of one detector is above that of another, on the same pages.

    Raises:
        DataError: the two were not measured on the same pages.
    """
    if of.counts.keys() != to.counts.keys():
        odd = sorted(of.counts.keys() ^ to.counts.keys())
        raise DataError(
            f"measured for one detector alone: {counted(len(odd), 'page')}, such as {odd[0]}",
            remedy="compare scores on the same pages",
        )
    names = list(of.counts)
    clusters = of.clusters(names)
    sums, others = _by_cluster(of, names, clusters), _by_cluster(to, names, clusters)
    weights = _weights(len(sums), draws, seed)
    drawn = _hmean(weights @ sums) - _hmean(weights @ others)
    return _interval(of.total.hmean - to.total.hmean, drawn, len(sums), least=-1)


def outline_difference(
    of: Mapping[str, IoUCounts],
    to: Mapping[str, IoUCounts],
    pages: PageScores,
    *,
    draws: int = DRAWS,
    seed: int = _SEED,
) -> Interval:
    """`difference` of the H-Means by IoU, of two detectors' matches on each of `pages`."""
    names = list(pages.counts)
    clusters = pages.clusters(names)
    sums, others = (
        _sums([_iou_row(matches[name]) for name in names], clusters) for matches in (of, to)
    )
    weights = _weights(len(sums), draws, seed)
    drawn = _hmean(weights @ sums) - _hmean(weights @ others)
    values = [sum((m[name] for name in names), start=IoUCounts()).hmean for m in (of, to)]
    return _interval(values[0] - values[1], drawn, len(sums), least=-1)


def _iou_row(counts: IoUCounts) -> tuple[float, ...]:
    return counts.matched, counts.truths, counts.matched, counts.predictions


def _by_cluster(
    pages: PageScores, names: Sequence[str], clusters: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(G, 4) what the H-Mean is made of, summed over the pages of each group: found and true
    characters of recall, then of precision."""
    counts = [pages.counts[name] for name in names]
    rows = [
        (
            c.tp_chars - c.recall_penalty,
            c.gt_chars,
            c.tp_chars - c.precision_penalty,
            c.det_chars,
        )
        for c in counts
    ]
    return _sums(rows, clusters)


def _sums(rows: Sequence[Sequence[float]], clusters: NDArray[np.int64]) -> NDArray[np.float64]:
    """(G, 4) the pages' rows, summed over each group."""
    sums = np.zeros((int(clusters.max(initial=-1)) + 1, 4))
    np.add.at(sums, clusters, np.array(rows, dtype=np.float64).reshape(-1, 4))
    return sums


def _weights(groups: int, draws: int, seed: int) -> NDArray[np.float64]:
    """(draws, groups) how often each group is in each draw."""
    if not groups:
        return np.zeros((draws, 0))
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=draws).astype(np.float64)


def _hmean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(draws,) micro H-Mean of (draws, 4) sums; 0 where nothing was found, as in CLEval."""
    return harmonic_mean(share(sums[:, 0], sums[:, 1]), share(sums[:, 2], sums[:, 3]))


def _interval(value: float, drawn: NDArray[np.float64], groups: int, least: float) -> Interval:
    if groups < 2:
        return Interval(value, least, 1.0)
    # Most steps only carry intervals about, and scipy takes half a second to import.
    from scipy.special import ndtr, stdtrit  # noqa: PLC0415

    tail = (1 - LEVEL) / 2
    wide = math.sqrt(groups / (groups - 1)) * float(stdtrit(groups - 1, tail))
    tail = float(ndtr(wide))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
