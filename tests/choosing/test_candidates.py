"""Which candidate becomes the model, and what the choice itself is worth."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from detector.choosing.candidates import Candidate, choose_candidate, cross_fit
from detector.choosing.pages import PageScores
from detector.errors import ConfigError
from detector.evaluation.cleval.counts import CLEvalCounts
from detector.evaluation.iou_counts import IoUCounts


def candidate(name: str, found: list[int], ms: float) -> Candidate:
    counts = [CLEvalCounts(gt_chars=100, det_chars=100, tp_chars=n) for n in found]
    return Candidate(name, PageScores({f"page {i}": c for i, c in enumerate(counts)}, {}), ms)


MEAN = candidate("mean of maps", [97, 95, 98, 96, 97, 95, 98, 96], 60)
FOLD = candidate("fold 0", [95, 97, 96, 98, 95, 97, 97, 96], 20)
POOR = candidate("fold 1", [80, 81, 85, 80, 80, 82, 83, 84], 10)
ALL = [FOLD, POOR, MEAN]


@pytest.mark.parametrize(
    ("prefer", "chosen"),
    [
        ("balance", "fold 0"),
        ("accuracy", "mean of maps"),
        ("speed", "fold 1"),
        ("fold 1", "fold 1"),
    ],
)
def test_the_fastest_within_noise_is_taken_unless_something_else_is_preferred(
    prefer: str, chosen: str
) -> None:
    assert choose_candidate(ALL, prefer)[0] == chosen


def outlining(candidate: Candidate, matched: int) -> Candidate:
    names = list(candidate.pages.counts)
    return replace(candidate, matches=dict.fromkeys(names, IoUCounts(100, 100, matched)))


def test_of_equally_fast_ones_within_noise_that_is_taken_whose_outlines_fit_better() -> None:
    loose, tight = outlining(FOLD, 92), outlining(replace(FOLD, name="fold 2"), 95)
    better = replace(MEAN, ms_per_page=22)
    name, reason = choose_candidate([loose, outlining(better, 91), tight], "balance")
    assert name == "fold 2"
    assert reason.startswith(
        "its outlines fit better than those of mean of maps, which is as fast "
        "(IoU 0.9500 against 0.9100); the difference of 0.001"
    )
    assert choose_candidate([loose, outlining(better, 91), tight], "accuracy")[0] == "mean of maps"


def test_outlines_that_fit_better_do_not_outweigh_what_is_slower_or_worse_than_noise() -> None:
    fast = outlining(FOLD, 90)
    slow = outlining(replace(MEAN, ms_per_page=60), 99)
    poor = outlining(replace(POOR, ms_per_page=20), 99)
    assert choose_candidate([fast, slow, poor], "balance")[0] == "fold 0"


def test_each_half_of_the_pages_judges_by_its_own_matches() -> None:
    half = FOLD.pages.halves()[0]
    matches = {n: IoUCounts(100, 100, 90 if n in half else 10) for n in FOLD.pages.counts}
    assert replace(FOLD, matches=matches).only(half).iou_hmean == pytest.approx(0.9)


def test_a_lead_beyond_noise_is_worth_its_time() -> None:
    name, reason = choose_candidate([POOR, MEAN], "balance")
    assert name == "mean of maps"
    assert reason == "its score is better than any other's by more than noise"


def test_the_reason_for_a_faster_one_has_both_durations_and_the_interval() -> None:
    _, reason = choose_candidate(ALL, "balance")
    assert reason.startswith(
        "it takes 20 ms a page, mean of maps takes 60; the difference of 0.001"
    )
    assert reason.endswith("is within noise")


@pytest.mark.parametrize("prefer", ["balance", "accuracy"])
def test_of_models_that_find_nothing_none_is_called_the_best(prefer: str) -> None:
    blind = [candidate("fold 0", [0] * 8, 60), candidate("fold 1", [0] * 8, 20)]
    assert choose_candidate(blind, prefer) == (
        "fold 1",
        "none has found any text, and none is faster",
    )


def test_a_name_that_is_no_candidate_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose one of balance, accuracy, speed, 'fold 0'"):
        choose_candidate(ALL, "fold 9")


def test_every_page_is_scored_by_what_other_pages_chose() -> None:
    pages = cross_fit(ALL, "accuracy")
    assert pages.counts.keys() == MEAN.pages.counts.keys()
    assert pages.total.gt_chars == MEAN.pages.total.gt_chars


def test_the_best_of_many_equals_flatters_itself_and_the_cross_fit_does_not(
    draw_detectors: Callable[..., list[PageScores]],
) -> None:
    rng = np.random.default_rng(5)
    flattery, honest = [], []
    for _ in range(100):
        drawn = draw_detectors(rng, 20, [0.9] * 8)
        equals = [Candidate(str(n), pages, 10) for n, pages in enumerate(drawn)]
        own = np.mean([pages.total.hmean for pages in drawn])
        flattery.append(max(pages.total.hmean for pages in drawn) - own)
        honest.append(cross_fit(equals, "accuracy").total.hmean - own)
    assert np.mean(flattery) > 0.003
    assert abs(np.mean(honest)) < 0.001
