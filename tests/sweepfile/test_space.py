import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from detector.search.axes import Choice, Interval
from detector.sweepfile.space import (
    FAMILIES,
    Extent,
    draw,
    grid_point,
    grid_size,
    values,
)

MANY = 4000
E_ = math.e


def parsed(distribution: str, **settings: Any) -> Any:
    return FAMILIES[distribution].model_validate({"distribution": distribution, **settings})


def drawn(distribution: str, **settings: Any) -> list[Any]:
    space = {"p": parsed(distribution, **settings)}
    rng = np.random.default_rng(7)
    return [values(space, draw(space, rng))["p"] for _ in range(MANY)]


@pytest.mark.parametrize(
    ("distribution", "settings", "low", "median", "high"),
    [
        ("uniform", {"min": -1.0, "max": 3.0}, -1, 1, 3),
        ("int_uniform", {"min": 2, "max": 8}, 2, 5, 8),
        ("log_uniform_values", {"min": 1e-5, "max": 1e-3}, 1e-5, 1e-4, 1e-3),
        ("log_uniform", {"min": 0, "max": 2}, 1, E_, E_**2),
        ("inv_log_uniform", {"min": 0, "max": 2}, E_**-2, E_**-1, 1),
        ("inv_log_uniform_values", {"min": 1e-5, "max": 1e-3}, 1e-5, 1e-4, 1e-3),
        ("normal", {"mu": 5.0, "sigma": 2.0}, -math.inf, 5, math.inf),
        ("log_normal", {"mu": 1.0, "sigma": 0.5}, 0, E_, math.inf),
        ("beta", {"a": 2.0, "b": 2.0}, 0, 0.5, 1),
    ],
)
def test_the_prior_has_its_limits_and_its_median(
    distribution: str,
    settings: dict[str, float],
    low: float,
    median: float,
    high: float,
) -> None:
    sample = drawn(distribution, **settings)
    assert low <= min(sample) and max(sample) <= high
    assert statistics.median(sample) == pytest.approx(median, rel=0.08)


def test_the_normal_distribution_spreads_by_sigma() -> None:
    assert statistics.stdev(drawn("normal", mu=0.0, sigma=3.0)) == pytest.approx(3, rel=0.05)


def test_every_value_of_an_int_range_is_drawn_both_ends_included() -> None:
    sample = drawn("int_uniform", min=1, max=4)
    assert set(sample) == {1, 2, 3, 4}
    assert all(type(value) is int for value in sample)


@pytest.mark.parametrize(
    ("distribution", "settings"),
    [
        ("q_uniform", {"min": 0.0, "max": 1.0, "q": 0.1}),
        ("q_log_uniform", {"min": 0, "max": 3, "q": 0.1}),
        ("q_log_uniform_values", {"min": 1.0, "max": 9.0, "q": 0.1}),
        ("q_normal", {"q": 0.1}),
        ("q_log_normal", {"q": 0.1}),
        ("q_beta", {"q": 0.1}),
    ],
)
def test_a_q_form_gives_multiples_of_q_without_binary_noise(
    distribution: str, settings: dict[str, float]
) -> None:
    assert all(value == round(value, 1) for value in drawn(distribution, **settings))


def test_a_whole_q_gives_whole_numbers_and_is_1_by_default() -> None:
    assert all(type(value) is int for value in drawn("q_uniform", min=0, max=9))


def test_probabilities_weigh_the_values() -> None:
    sample = drawn(
        "categorical_w_probabilities", values=["often", "seldom"], probabilities=[0.9, 0.1]
    )
    assert sample.count("often") / MANY == pytest.approx(0.9, abs=0.02)


def test_values_of_mixed_types_keep_their_types() -> None:
    mixed = [True, 1, 1.0, None, "1", [1, 2], {"a": False}]
    sample = drawn("categorical", values=mixed)
    found = {repr(value) for value in sample}
    assert found == {repr(value) for value in mixed}


@given(st.integers(0, 2**32 - 1))
def test_every_drawn_coordinate_lies_on_its_axis(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for distribution in (
        parsed("uniform", min=0.1, max=0.3),
        parsed("int_uniform", min=-3, max=3),
        parsed("log_uniform_values", min=1e-7, max=1e-2),
        parsed("normal"),
        parsed("beta", a=0.5, b=0.5),
        parsed("categorical", values=[1, 2]),
    ):
        axis, coordinate = distribution.axis(), distribution.draw(rng)
        if isinstance(axis, Choice):
            assert coordinate in axis.labels
        else:
            assert isinstance(axis, Interval)
            assert axis.low <= coordinate <= axis.high


def test_the_grid_holds_every_combination_once_and_constants_throughout() -> None:
    space = {
        "a": parsed("categorical", values=["x", None]),
        "k": parsed("constant", value=[1, 2]),
        "b": parsed("int_uniform", min=1, max=3),
    }
    points = [grid_point(space, number) for number in range(grid_size(space))]
    assert points == [{"a": a, "k": [1, 2], "b": b} for a in ["x", None] for b in [1, 2, 3]]


def test_the_grid_of_a_q_uniform_goes_from_min_to_max_in_steps_of_q() -> None:
    space = {"p": parsed("q_uniform", min=0.1, max=0.5, q=0.2)}
    assert [grid_point(space, number)["p"] for number in range(grid_size(space))] == [0.1, 0.3, 0.5]


@pytest.mark.parametrize(
    ("distribution", "settings", "reason"),
    [
        ("uniform", {"min": 1.0, "max": 1.0}, "not less than"),
        ("int_uniform", {"min": 1, "max": 2.5}, "integer"),
        ("log_uniform_values", {"min": 0.0, "max": 1.0}, "not above 0"),
        ("log_uniform", {"min": 0, "max": 2000}, "exponents of e"),
        ("uniform", {"min": 0.0, "max": 1.0, "q": 0.1}, "q has no meaning"),
        ("normal", {"sigma": 0.0}, "greater than 0"),
        ("categorical", {"values": []}, "at least 1 item"),
        ("categorical", {"values": [1, 2, 1]}, "more than once"),
        (
            "categorical_w_probabilities",
            {"values": [1, 2], "probabilities": [1.0]},
            "1 probabilities",
        ),
        (
            "categorical_w_probabilities",
            {"values": [1, 2], "probabilities": [0.5, 0.6]},
            "add up to 1.1",
        ),
    ],
)
def test_a_distribution_that_makes_no_sense_is_refused(
    distribution: str, settings: Any, reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        parsed(distribution, **settings)


@pytest.mark.parametrize(
    "distribution, settings, extent",
    [
        ("uniform", {"min": 0.1, "max": 0.2}, Extent("linear", 0.1, 0.2)),
        ("q_uniform", {"min": 1, "max": 9, "q": 2}, Extent("linear", 1, 9)),
        ("int_uniform", {"min": 1, "max": 30}, Extent("linear", 1, 30)),
        ("log_uniform_values", {"min": 0.1, "max": 0.2}, Extent("log", 0.1, 0.2)),
        ("beta", {}, Extent("linear", 0.0, 1.0)),
        ("normal", {}, Extent("linear")),
        ("log_normal", {}, Extent("log")),
        ("categorical", {"values": [8, 2, 4]}, Extent("choice", values=["2", "4", "8"])),
        ("categorical", {"values": ["b", "a"]}, Extent("choice", values=["b", "a"])),
        ("constant", {"value": 3}, Extent("choice", values=["3"])),
    ],
)
def test_a_chart_learns_where_values_lie(
    distribution: str, settings: dict[str, Any], extent: Extent
) -> None:
    assert parsed(distribution, **settings).extent() == extent


def test_exponents_are_no_values() -> None:
    extent = parsed("log_uniform", min=-2, max=0).extent()
    assert (extent.low, extent.high) == pytest.approx((0.1353352832, 1))
