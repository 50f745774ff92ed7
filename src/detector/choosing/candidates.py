"""Which candidate becomes the model: the best within noise that is fastest, or what was asked for.

The pages that choose flatter what they chose. `cross_fit` measures the choice itself: each half of
the pages is scored by the candidate that the other half would have chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from detector.choosing.bootstrap import difference
from detector.choosing.pages import PageScores
from detector.errors import ConfigError
from detector.evaluation.iou_counts import IoUCounts
from detector.evaluation.ratios import found_and_outlined

BALANCE, ACCURACY, SPEED = "balance", "accuracy", "speed"
SAME_SPEED = 1.25
"""Candidates whose durations differ by less than this factor are equally fast."""


@dataclass(frozen=True)
class Candidate:
    """What could become the model.

    Attributes:
        pages: its counts on the pages that all candidates were measured on.
        ms_per_page: from pixels to outlines.
        matches: its outlines that match one of a page's, by the page's name.
    """

    name: str
    pages: PageScores
    ms_per_page: float
    matches: Mapping[str, IoUCounts] = field(default_factory=dict)

    @property
    def hmean(self) -> float:
        """CLEval's, the score by which candidates are compared."""
        return self.pages.total.hmean

    @property
    def iou_hmean(self) -> float:
        """Of its matches."""
        return sum(self.matches.values(), start=IoUCounts()).hmean

    def only(self, names: Sequence[str]) -> "Candidate":
        """What is known of it from the pages in `names` alone, and how fast it is."""
        matches = {name: self.matches[name] for name in names if name in self.matches}
        return replace(self, pages=self.pages.only(names), matches=matches)


def choose_candidate(candidates: Sequence[Candidate], prefer: str) -> tuple[str, str]:
    """Name and reason of one candidate.

    Args:
        candidates: at least one, all measured on the same pages.
        prefer: "balance" takes the fastest of those within noise of the best score, "accuracy" the
            best score, "speed" the fastest; or the name of a candidate. Of equally fast ones that
            is taken which finds and outlines text best (`found_and_outlined`).

    Raises:
        ConfigError: no candidate has this name.
    """
    leader = _best(candidates)
    if prefer == SPEED:
        return _fastest(candidates).name, "it is the fastest, as was preferred"
    if prefer not in (BALANCE, ACCURACY):
        return _named(candidates, prefer).name, "it was asked for by name"
    if not leader.hmean:
        return _fastest(candidates).name, "none has found any text, and none is faster"
    if prefer == ACCURACY:
        return leader.name, "it has the best score, as was preferred"
    return _balanced(candidates, leader)


def _balanced(candidates: Sequence[Candidate], leader: Candidate) -> tuple[str, str]:
    """The fastest of those within noise of the best, and why."""
    tied = within_noise_of_the_best(candidates)
    chosen = _fastest(tied)
    if len(tied) == 1:
        return chosen.name, "its score is better than any other's by more than noise"
    if chosen is leader:
        return chosen.name, "it has the best score, and none within noise of it is faster"
    others = difference(leader.pages, chosen.pages)
    noise = (
        f"the difference of {others.value:.4f} between them "
        f"({others.low:.4f} to {others.high:.4f}) is within noise"
    )
    if leader in _as_fast_as_any(tied):
        return chosen.name, (
            f"its outlines fit better than those of {leader.name}, which is as fast (IoU "
            f"{chosen.iou_hmean:.4f} against {leader.iou_hmean:.4f}); {noise}"
        )
    return chosen.name, (
        f"it takes {chosen.ms_per_page:.0f} ms a page, {leader.name} takes "
        f"{leader.ms_per_page:.0f}; {noise}"
    )


def within_noise_of_the_best(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those whose distance to the best score may be chance, the best itself included."""
    leader = _best(candidates)
    return [c for c in candidates if difference(leader.pages, c.pages).contains_zero]


def cross_fit(candidates: Sequence[Candidate], prefer: str) -> PageScores:
    """The counts of a choice on pages that did not make it."""
    halves = candidates[0].pages.halves()
    measured = {c.name: c.pages for c in candidates}
    result = PageScores({}, {})
    for choosing, judged in (halves, halves[::-1]):
        name, _ = choose_candidate([c.only(choosing) for c in candidates], prefer)
        result |= measured[name].only(judged)
    return result


def _best(candidates: Sequence[Candidate]) -> Candidate:
    return max(candidates, key=lambda c: c.hmean)


def _fastest(candidates: Sequence[Candidate]) -> Candidate:
    return max(_as_fast_as_any(candidates), key=lambda c: found_and_outlined(c.hmean, c.iou_hmean))


def _as_fast_as_any(candidates: Sequence[Candidate]) -> list[Candidate]:
    limit = SAME_SPEED * min(c.ms_per_page for c in candidates)
    return [c for c in candidates if c.ms_per_page <= limit]


def _named(candidates: Sequence[Candidate], name: str) -> Candidate:
    for candidate in candidates:
        if candidate.name == name:
            return candidate
    choices = ", ".join([BALANCE, ACCURACY, SPEED, *(repr(c.name) for c in candidates)])
    raise ConfigError(
        f"there is no candidate {name!r}", where="prefer", remedy=f"choose one of {choices}"
    )
