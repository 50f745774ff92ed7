"""The thresholds of post-processing, tuned on pages that no network was trained on.

Each training page was left out by one fold, whose network draws its map; so every page has an
honest map, and trying other thresholds on it costs no training. The maps of an ensemble may differ
a little from those of its members, for which no page is left over.

CLEval measures which text was found, and barely how tightly; plain IoU measures both. The search
climbs their mean, in which CLEval counts twice, but never to where CLEval is below that of the
configuration's own thresholds; and what it finds is taken only if the same holds on pages that were
not searched on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from detector.choosing.bootstrap import Interval, difference
from detector.choosing.pages import PageScores
from detector.config.schema import DataConfig, PostprocessConfig
from detector.data.images import read_image
from detector.data.page import Page, taken_evenly
from detector.data.resize import resize_page
from detector.detecting.inference import ProbabilityMap, draw_map, read_regions, regions_of
from detector.detecting.postprocess import Regions
from detector.evaluation.cleval.counts import DatasetScore
from detector.evaluation.cleval.evaluate import evaluate_page
from detector.evaluation.iou import evaluate_iou
from detector.evaluation.iou_counts import IoUCounts
from detector.evaluation.ratios import found_and_outlined
from detector.pace import paced

MOST_PAGES = 200
"""Enough to tune three numbers; the maps of more would fill the memory."""
_THRESH_STEP = 0.05
_UNCLIP_FACTORS = (1.1, 1.4)
"""The longer step finds its way where outlines are too tight or loose by much."""


@dataclass(frozen=True)
class Tuned:
    """The thresholds to take, and what they are worth.

    Attributes:
        postprocess: the configuration's own where no others were found to be better.
        pages: how many pages were tuned on.
        gain: of CLEval's H-Mean over the configuration's own, on pages that were not searched on.
        iou_gain: the same of the H-Mean of matches at IoU >= 0.5.
        reason: in a sentence.
    """

    postprocess: PostprocessConfig
    pages: int
    gain: Interval
    iou_gain: float
    reason: str


def tune_thresholds(
    networks: Mapping[str, ProbabilityMap],
    left_out: Mapping[str, Sequence[Page]],
    data: DataConfig,
    own: PostprocessConfig,
) -> Tuned:
    """Search `thresh`, `box_thresh` and `unclip_ratio` on the pages that each network left out.

    Args:
        networks: by the fold's name.
        left_out: the pages of each of them; of more than `MOST_PAGES` some are taken evenly.
        data: how the networks take a page.
        own: the configuration's thresholds, where the search begins.

    Raises:
        DataError: an image cannot be read.
    """
    trials = _Trials(list(_draw_maps(networks, left_out, data)))
    everywhere = [page.name for page in trials.pages]
    before = trials.scores(own)
    one, other = before.halves()
    found = {
        name: trials.search(searched, own)
        for searched, judged in ((one, other), (other, one))
        for name in judged
    }
    after = reduce(PageScores.__or__, (trials.scores(found[n]).only([n]) for n in everywhere))
    gain = difference(after, before)
    matched = sum((trials.matches(found[n], [n]) for n in everywhere), start=IoUCounts())
    iou_gain = matched.hmean - trials.matches(own, everywhere).hmean
    helps = gain.value >= 0 and found_and_outlined(gain.value, iou_gain) > 0
    best = trials.search(everywhere, own) if helps else own
    return Tuned(best, len(everywhere), gain, iou_gain, _reason(own, best, gain, iou_gain, helps))


@dataclass(frozen=True)
class _Mapped:
    """A page's (h, w) float16 map and the width and height of its image."""

    page: Page
    probability: NDArray[np.float16]
    image_size: tuple[int, int]
    _regions: dict[float, Regions] = field(default_factory=dict)

    def regions(self, thresholds: PostprocessConfig) -> Regions:
        """What of the map is above `thresh`, remembered: most trials change other thresholds."""
        if thresholds.thresh not in self._regions:
            probability = self.probability.astype(np.float32)
            self._regions[thresholds.thresh] = regions_of(probability, thresholds)
        return self._regions[thresholds.thresh]


def _draw_maps(
    networks: Mapping[str, ProbabilityMap],
    left_out: Mapping[str, Sequence[Page]],
    data: DataConfig,
) -> Iterator[_Mapped]:
    pages = [(name, page) for name in networks for page in left_out[name]]
    taken = taken_evenly(pages, MOST_PAGES)
    for name, page in paced(taken, "drawing maps"):
        resized = resize_page(read_image(page.image, data.max_pixels), data.resize)
        probability = draw_map(resized, networks[name]).astype(np.float16)
        yield _Mapped(page, probability, resized.image_size)


class _Trials:
    """What thresholds count on each page, remembered."""

    def __init__(self, mapped: Sequence[_Mapped]):
        self.pages = [m.page for m in mapped]
        self._mapped = mapped
        self._known: dict[PostprocessConfig, tuple[PageScores, dict[str, IoUCounts]]] = {}

    def scores(self, thresholds: PostprocessConfig) -> PageScores:
        return self._measured(thresholds)[0]

    def matches(self, thresholds: PostprocessConfig, names: Sequence[str]) -> IoUCounts:
        by_page = self._measured(thresholds)[1]
        return sum((by_page[name] for name in names), start=IoUCounts())

    def search(self, names: Sequence[str], start: PostprocessConfig) -> PostprocessConfig:
        """Climb from `start`, by one step of one threshold at a time, to where none is better."""
        least = self._cleval(start, names)
        best, value = start, self._value(start, names)
        while True:
            tried = {
                near: self._value(near, names)
                for near in _neighbours(best)
                if self._cleval(near, names) >= least
            }
            if not tried:
                return best
            nearest = max(tried, key=tried.__getitem__)
            if tried[nearest] <= value:
                return best
            best, value = nearest, tried[nearest]

    def _value(self, thresholds: PostprocessConfig, names: Sequence[str]) -> float:
        matches = self.matches(thresholds, names)
        return found_and_outlined(self._cleval(thresholds, names), matches.hmean)

    def _cleval(self, thresholds: PostprocessConfig, names: Sequence[str]) -> float:
        return self.scores(thresholds).only(names).total.hmean

    def _measured(self, thresholds: PostprocessConfig) -> tuple[PageScores, dict[str, IoUCounts]]:
        if thresholds not in self._known:
            counts, matches = [], {}
            for mapped in self._mapped:
                regions = mapped.regions(thresholds)
                found = read_regions(regions, mapped.image_size, thresholds).polygons
                counts.append(evaluate_page(mapped.page.boxes, found))
                matches[mapped.page.name] = evaluate_iou(mapped.page.boxes, found)
            scores = PageScores.of(self.pages, DatasetScore(tuple(counts)))
            self._known[thresholds] = scores, matches
        return self._known[thresholds]


def _neighbours(thresholds: PostprocessConfig) -> list[PostprocessConfig]:
    """One threshold a step lower or higher, in their sensible ranges."""
    steps: list[tuple[str, float]] = []
    for name in ("thresh", "box_thresh"):
        value = getattr(thresholds, name)
        steps += [(name, round(value + by, 3)) for by in (-_THRESH_STEP, _THRESH_STEP)]
    ratio = thresholds.unclip_ratio
    for factor in _UNCLIP_FACTORS:
        steps += [("unclip_ratio", round(to, 3)) for to in (ratio / factor, ratio * factor)]
    return [
        thresholds.model_copy(update={name: value})
        for name, value in steps
        if name == "unclip_ratio" or 0 < value < 1
    ]


def _reason(
    own: PostprocessConfig, best: PostprocessConfig, gain: Interval, iou_gain: float, helps: bool
) -> str:
    if best == own:
        why = "no others did better" if helps else "others did no better on other pages"
        return f"The configuration's thresholds are kept: {why}."
    changed = ", ".join(
        f"{name} {getattr(own, name):g} \N{RIGHTWARDS ARROW} {getattr(best, name):g}"
        for name in ("thresh", "box_thresh", "unclip_ratio")
        if getattr(own, name) != getattr(best, name)
    )
    return (
        f"Thresholds tuned on out-of-fold pages: {changed}. On pages that were not searched on, "
        f"such a search changes CLEval by {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}) "
        f"and IoU by {iou_gain:+.4f}."
    )
