"""Shares and their means lie within their bounds, to the bit."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.choosing import bootstrap
from detector.choosing.pages import PageScores
from detector.evaluation.cleval.counts import CLEvalCounts, DatasetScore
from detector.evaluation.iou_counts import IoUCounts
from detector.evaluation.ratios import harmonic_mean, mean, share
from detector.geometry.outlines import meetings, regions

shares = st.floats(0, 1)
counts = st.integers(0, 500)


@given(shares, shares)
def test_a_harmonic_mean_lies_between_its_two_shares(one: float, other: float) -> None:
    assert min(one, other) <= harmonic_mean(one, other) <= max(one, other)


@given(st.integers(1, 500), st.integers(1, 500))
def test_a_harmonic_mean_of_equal_shares_is_that_share(part: int, more: int) -> None:
    found = part / (part + more)
    assert harmonic_mean(found, found) == found


@given(st.fractions(0, 1, max_denominator=500), st.fractions(0, 1, max_denominator=500))
def test_a_harmonic_mean_is_the_formula_s_value(one: Fraction, other: Fraction) -> None:
    both = one + other
    exact = 2 * one * other / both if both else Fraction(0)
    assert harmonic_mean(float(one), float(other)) == pytest.approx(float(exact), rel=1e-15)


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=20))
def test_numbers_and_arrays_have_the_same_mean_to_the_bit(pairs: list[tuple[float, float]]) -> None:
    one, other = np.array(pairs).T
    assert harmonic_mean(one, other).tolist() == [harmonic_mean(*pair) for pair in pairs]
    assert share(one, one + other).tolist() == [share(a, a + b) for a, b in pairs]


@given(counts, counts)
def test_a_share_of_a_part_lies_between_zero_and_one(part: int, rest: int) -> None:
    assert 0 <= share(part, part + rest) <= 1
    assert share(-part, part + rest) == 0


@given(st.lists(shares, min_size=1, max_size=50))
def test_a_mean_lies_between_its_least_and_its_greatest_value(values: list[float]) -> None:
    assert min(values) <= mean(values) <= max(values)


@given(shares, st.integers(1, 60))
def test_the_mean_of_equal_pages_is_their_score(score: float, pages: int) -> None:
    assert mean([score] * pages) == score


@given(st.integers(1, 500), st.integers(0, 500), st.integers(1, 9))
def test_every_score_of_equal_recall_and_precision_is_that(found: int, missed: int, n: int) -> None:
    characters = CLEvalCounts(found + missed, found + missed, found)
    expected = found / (found + missed)
    assert characters.recall == characters.precision == characters.hmean == expected
    assert DatasetScore((characters,) * n).hmean_pages == expected
    assert IoUCounts(found + missed, found + missed, found).hmean == expected
    pages = PageScores({f"{i}.png": characters for i in range(n + 1)}, {})
    interval = bootstrap.score(pages, draws=50)
    assert (interval.low, interval.value, interval.high) == (expected,) * 3


corners = st.tuples(st.floats(-50, 50), st.floats(-50, 50))


@given(st.lists(corners, min_size=3, max_size=8), st.floats(0.01, 9), corners)
def test_an_intersection_over_union_is_at_most_one(
    points: list[tuple[float, float]], scale: float, move: tuple[float, float]
) -> None:
    outlines = regions([np.array(points) * scale + move])
    iou = meetings(outlines, outlines).iou()
    assert ((iou >= 0) & (iou <= 1)).all()
