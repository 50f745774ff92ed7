import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.search.adaptive import AdaptiveSearch
from detector.search.axes import Interval
from detector.search.curves import State, Trial
from detector.search.hyperband import Goal
from detector.search.rungs import late_rungs, rungs
from detector.search.trust import WITNESS_EVERY, is_witness, log_odds, trust

HORIZON = 20
EARLY = rungs(HORIZON)[0]


def level(x: float) -> float:
    return 0.9 - abs(x - 0.7)


def parallel(x: float, epochs: int = HORIZON) -> dict[int, float]:
    """Curves that keep their order."""
    return {e: level(x) - 0.5 * math.exp(-e / 5) for e in range(1, epochs + 1)}


def crossing(x: float, epochs: int = HORIZON) -> dict[int, float]:
    """What ends high begins low."""
    return {
        e: 0.3 + (level(x) - 0.3) * (e / HORIZON) ** 2 + 0.3 * (1 - level(x)) * (1 - e / HORIZON)
        for e in range(1, epochs + 1)
    }


def whole(curve: dict[int, float], number: int, state: State = "finished") -> Trial:
    return Trial(number, {"x": number / 10}, curve, state)


PARALLEL = [whole(parallel(n / 10), n) for n in range(11)]
CROSSING = [whole(crossing(n / 10), n) for n in range(11)]


def test_curves_that_keep_their_order_are_trusted() -> None:
    assert trust(PARALLEL, "maximize", EARLY, HORIZON) > 0.95
    assert log_odds(PARALLEL, "maximize", EARLY, HORIZON) < math.log(25)


def test_where_good_trials_rise_late_no_early_rung_ends_one() -> None:
    assert trust(CROSSING, "maximize", EARLY, HORIZON) < 0.1
    assert math.isinf(log_odds(CROSSING, "maximize", EARLY, HORIZON))


def test_late_rungs_judge_where_the_early_ones_are_not_trusted() -> None:
    late = late_rungs(HORIZON)[-1]

    assert math.isinf(log_odds(PARALLEL, "maximize", late, HORIZON))
    assert math.isfinite(log_odds(CROSSING, "maximize", late, HORIZON))


def test_between_the_rungs_nothing_is_judged() -> None:
    marks = {*rungs(HORIZON), *late_rungs(HORIZON)}
    judged = [e for e in range(1, HORIZON) if math.isfinite(log_odds([], "maximize", e, HORIZON))]

    assert set(judged) == set(rungs(HORIZON)) < marks


def test_what_was_stopped_says_nothing_of_the_end() -> None:
    stopped = [whole(crossing(n / 10, 4), n, "stopped") for n in range(11)]

    assert trust(stopped, "maximize", EARLY, HORIZON) == trust([], "maximize", EARLY, HORIZON)


def test_equal_curves_teach_nothing() -> None:
    equal = [whole(parallel(0.5), n) for n in range(11)]

    assert trust(equal, "maximize", EARLY, HORIZON) == pytest.approx(
        trust([], "maximize", EARLY, HORIZON)
    )


@given(
    st.lists(st.lists(st.floats(-10, 10), min_size=HORIZON, max_size=HORIZON), max_size=12),
    st.sampled_from([*rungs(HORIZON), *late_rungs(HORIZON)]),
)
def test_trust_lies_between_none_and_all_and_knows_no_sign(
    values: list[list[float]], rung: int
) -> None:
    up = [whole(dict(enumerate(curve, 1)), n) for n, curve in enumerate(values)]
    down = [whole({e: -v for e, v in t.curve.items()}, t.number) for t in up]
    stretched = [whole({e: 3 * v + 1 for e, v in t.curve.items()}, t.number) for t in up]
    of: dict[str, float] = {
        name: trust(trials, goal, rung, HORIZON)
        for name, trials, goal in (
            ("up", up, _goal("maximize")),
            ("down", down, _goal("minimize")),
            ("reversed", up[::-1], _goal("maximize")),
        )
    }

    assert 0 <= of["up"] <= 1
    assert of["down"] == pytest.approx(of["up"])
    assert of["reversed"] == pytest.approx(of["up"])
    assert np.isfinite(trust(stretched, "maximize", rung, HORIZON))


def _goal(goal: Goal) -> Goal:
    return goal


def stopped_early(curve_of: object, count: int = 30) -> list[Trial]:
    """A sweep of one agent: its trials."""
    assert callable(curve_of)
    search = AdaptiveSearch({"x": Interval(0.0, 1.0)}, "maximize", HORIZON, seed=3)
    trials: list[Trial] = []
    for number in range(count):
        point = search.suggest(trials, number)
        values = curve_of(float(point["x"]))
        state: State = "finished"
        for epoch in range(1, HORIZON):
            running = Trial(number, point, {e: values[e] for e in range(1, epoch + 1)}, "running")
            if search.should_stop(number, [*trials, running]):
                values, state = dict(running.curve), "stopped"
                break
        trials.append(Trial(number, point, values, state))
    return trials


def test_a_sweep_of_late_risers_finds_them() -> None:
    trials = stopped_early(crossing)

    assert max(level(float(t.point["x"])) for t in trials if t.state == "finished") > 0.88
    assert not any(t.state == "stopped" and len(t.curve) <= rungs(HORIZON)[-1] for t in trials[15:])


def test_witnesses_are_trained_to_their_end() -> None:
    trials = stopped_early(parallel)

    assert all(t.state == "finished" for t in trials if is_witness(t.number))
    assert any(t.state == "stopped" for t in trials)
    assert sum(map(is_witness, range(160))) == 160 / WITNESS_EVERY
