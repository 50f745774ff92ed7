"""Intervals: what they contain, what they exclude, and how often they are right."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.choosing.bootstrap import difference, outline_difference, score
from detector.choosing.pages import PageScores
from detector.errors import DataError
from detector.evaluation.cleval.counts import CLEvalCounts
from detector.evaluation.iou_counts import IoUCounts

counts = st.builds(
    lambda true, share, extra: CLEvalCounts(
        gt_chars=true, tp_chars=round(share * true), det_chars=round(share * true) + extra
    ),
    st.integers(1, 500),
    st.floats(0, 1),
    st.integers(0, 50),
)
detectors = st.lists(counts, min_size=2, max_size=40).map(
    lambda pages: PageScores({f"page {i}": page for i, page in enumerate(pages)}, {})
)


def found(share: float, pages: int = 30) -> PageScores:
    count = CLEvalCounts(gt_chars=100, det_chars=100, tp_chars=round(100 * share))
    return PageScores({f"page {i}": count for i in range(pages)}, {})


@given(detectors)
def test_a_detector_is_within_noise_of_itself(pages: PageScores) -> None:
    same = difference(pages, pages)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert same.contains_zero


@given(detectors, detectors)
def test_the_other_way_round_the_interval_is_mirrored(one: PageScores, other: PageScores) -> None:
    names = sorted(one.counts.keys() & other.counts.keys())
    one, other = one.only(names), other.only(names)
    there, back = difference(one, other), difference(other, one)
    assert vars(there) == pytest.approx(vars(-back))


@given(detectors)
def test_a_score_has_the_value_of_its_summed_counts_and_lies_in_its_interval(
    pages: PageScores,
) -> None:
    interval = score(pages, draws=500)
    assert interval.value == pages.total.hmean
    assert 0 <= interval.low <= interval.high <= 1


def test_a_shift_on_every_page_is_no_noise() -> None:
    assert not difference(found(0.97), found(0.95)).contains_zero
    assert difference(found(0.97), found(0.95)).low == pytest.approx(0.02)


def test_penalties_count_as_cleval_has_them() -> None:
    page = CLEvalCounts(
        gt_chars=10, det_chars=12, tp_chars=9, recall_penalty=2, precision_penalty=1
    )
    pages = PageScores({"a": page, "b": page}, {})
    interval = score(pages)
    assert interval.low == interval.high == pytest.approx(page.hmean) == interval.value


def test_outlines_that_match_less_on_every_page_are_worse_by_more_than_noise() -> None:
    names = [f"page{number}" for number in range(9)]
    pages = PageScores({name: CLEvalCounts() for name in names}, {})
    tight = {name: IoUCounts(10, 10, 9) for name in names}
    loose = {name: IoUCounts(10, 10, 7 + number % 2) for number, name in enumerate(names)}
    gap = outline_difference(loose, tight, pages)
    assert gap.high < 0
    assert gap.value == pytest.approx(sum(m.hmean for m in loose.values()) / 9 - 0.9)
    assert outline_difference(tight, tight, pages).contains_zero


def test_pages_of_one_group_stand_or_fall_together(
    draw_detectors: Callable[..., list[PageScores]],
) -> None:
    (alone,) = draw_detectors(np.random.default_rng(1), 60, [0.95])
    ordered = sorted(alone.counts, key=lambda name: alone.counts[name].hmean)
    # Groups of equally hard pages: sixty pages, but only ten shops to learn from.
    grouped = PageScores(alone.counts, {name: f"shop {i // 6}" for i, name in enumerate(ordered)})
    assert score(grouped).value == score(alone).value
    narrow, wide = score(alone), score(grouped)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


@pytest.mark.parametrize("pages", [0, 1])
def test_without_two_pages_nothing_is_known(pages: int) -> None:
    interval = difference(found(0.9, pages), found(0.5, pages))
    assert (interval.low, interval.high) == (-1, 1)
    assert (score(found(0.9, pages)).low, score(found(0.9, pages)).high) == (0, 1)


def test_a_page_too_many_is_refused() -> None:
    with pytest.raises(DataError, match="measured for one detector alone: 1 page, "):
        difference(found(0.9, 3), found(0.9, 4))


def test_the_same_counts_have_the_same_interval(
    draw_detectors: Callable[..., list[PageScores]],
) -> None:
    one, other = draw_detectors(np.random.default_rng(2), 40, [0.95, 0.96])
    assert difference(one, other) == difference(one, other)


@pytest.mark.parametrize(("pages", "least"), [(12, 91), (40, 91), (120, 91)])
def test_the_interval_covers_the_truth_about_95_times_of_100(
    pages: int, least: int, draw_detectors: Callable[..., list[PageScores]]
) -> None:
    rng = np.random.default_rng(pages)
    draws = [difference(*draw_detectors(rng, pages, [0.95, 0.95]), draws=1000) for _ in range(300)]
    covered = sum(interval.contains_zero for interval in draws) / 3
    assert least <= covered <= 99


def test_two_points_are_found_and_none_are_not(
    draw_detectors: Callable[..., list[PageScores]],
) -> None:
    rng = np.random.default_rng(7)
    equal = [difference(*draw_detectors(rng, 60, [0.95, 0.95]), draws=1000) for _ in range(100)]
    planted = [difference(*draw_detectors(rng, 60, [0.97, 0.95]), draws=1000) for _ in range(100)]
    assert sum(interval.contains_zero for interval in equal) >= 90
    assert sum(interval.low > 0 for interval in planted) >= 90
