"""The consensus of several networks' outlines: what most of them found, as most of them drew it."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.detecting.consensus import agree
from detector.detecting.postprocess import Detections


def quad(left: float, top: float, width: float = 40.0, height: float = 10.0) -> NDArray[Any]:
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def found(*quads: NDArray[Any], score: float = 0.9) -> Detections:
    return Detections(list(quads), np.full(len(quads), score, np.float32))


NOTHING = found()


def outlines(detections: Detections) -> list[Any]:
    return [polygon.tolist() for polygon in detections.polygons]


def test_what_one_network_of_three_sees_is_dropped() -> None:
    text, ghost = quad(0, 0), quad(0, 50)
    assert outlines(agree([found(text, ghost), found(text), found(text)])) == outlines(found(text))


def test_what_two_networks_of_three_see_is_kept() -> None:
    text = quad(0, 0)
    assert outlines(agree([found(text), NOTHING, found(text)])) == outlines(found(text))


def test_two_networks_must_both_see_it() -> None:
    assert len(agree([found(quad(0, 0)), NOTHING])) == 0


def test_the_outline_in_the_middle_is_taken() -> None:
    narrow, middle, wide = quad(0, 0, width=32), quad(0, 0, width=38), quad(0, 0, width=44)
    agreed = agree([found(narrow), found(wide, score=1.0), found(middle)])
    assert outlines(agreed) == outlines(found(middle))


def test_the_score_is_the_mean_of_those_who_saw_it() -> None:
    text = quad(0, 0)
    agreed = agree([found(text, score=0.6), NOTHING, found(text, score=0.8)])
    assert agreed.scores == pytest.approx([0.7])


def test_lines_that_one_network_joins_stay_apart() -> None:
    one, other, joined = quad(0, 0), quad(45, 0), quad(0, 0, width=85)
    agreed = agree([found(one, other), found(joined), found(one, other)])
    assert outlines(agreed) == outlines(found(one, other))


def test_one_vote_of_a_network_is_counted_once_for_a_text() -> None:
    text = quad(0, 0)
    assert len(agree([found(text, text), NOTHING, NOTHING])) == 0


def test_an_outline_that_crosses_itself_is_understood() -> None:
    bow_tie = np.array([[0, 0], [40, 10], [40, 0], [0, 10]], np.float32)
    assert len(agree([found(bow_tie)] * 3)) == 1


def test_nothing_found_by_anyone_is_nothing() -> None:
    assert len(agree([NOTHING] * 3)) == 0


Place = tuple[int, int, int, int]
"""Left, top, width and height."""
quads = st.lists(
    st.tuples(*[st.integers(0, 300)] * 2, st.integers(4, 60), st.integers(4, 20)), max_size=8
)


@given(quads, st.integers(1, 4))
def test_networks_that_agree_lose_nothing(places: list[Place], voters: int) -> None:
    apart = [quad(x + 400.0 * i, y, w, h) for i, (x, y, w, h) in enumerate(places)]
    assert sorted(outlines(agree([found(*apart)] * voters))) == sorted(outlines(found(*apart)))


@given(st.lists(quads, min_size=1, max_size=4), st.randoms())
def test_the_consensus_takes_from_what_was_found_and_never_more_than_was_voted(
    votes: list[list[Place]], random: Random
) -> None:
    networks = [
        Detections(
            [quad(*place) for place in places],
            np.array([random.random() for _ in places], np.float32),
        )
        for places in votes
    ]
    agreed = agree(networks)
    assert all(any(o == p for n in networks for p in outlines(n)) for o in outlines(agreed))
    assert len(agreed) <= 2 * sum(map(len, networks)) / len(networks)
    assert ((agreed.scores >= 0) & (agreed.scores <= 1)).all()
