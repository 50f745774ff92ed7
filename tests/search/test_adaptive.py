import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from detector.search.adaptive import SPREAD_TRIALS, AdaptiveSearch
from detector.search.curves import State, Trial
from detector.search.hyperband import Goal
from detector.search.rungs import late_rungs, rungs
from detector.sweepfile import space
from detector.sweepfile.space import Space

HORIZON = 20
SPACE = {
    "lr": space.LogUniform(distribution="log_uniform_values", min=1e-5, max=1e-3),
    "width": space.IntUniform(min=1, max=9),
    "norm": space.Categorical(values=["batch", "layer"]),
}

Point = Mapping[str, Any]


def search(
    searched: Space = SPACE, goal: Goal = "maximize", horizon: int | None = HORIZON, seed: int = 1
) -> AdaptiveSearch:
    return AdaptiveSearch(space.axes(searched), goal, horizon, seed)


def score(point: Point) -> float:
    """Best at lr 1e-4, width 6, layer."""
    distance: float = abs(math.log10(point["lr"]) + 4) + abs(point["width"] - 6) / 5
    return 0.95 - 0.2 * distance - (0.05 if point["norm"] == '"batch"' else 0.0)


def curve(point: Point, epochs: int, sign: int = 1) -> dict[int, float]:
    final = score(point)
    return {e: sign * (final - 0.6 * math.exp(-e / 4)) for e in range(1, epochs + 1)}


def trial(
    number: int,
    point: Point,
    epochs: int = HORIZON,
    state: State | None = None,
    sign: int = 1,
) -> Trial:
    state = state or ("finished" if epochs == HORIZON else "stopped")
    return Trial(number, point, curve(point, epochs, sign), state)


def run(searcher: AdaptiveSearch, count: int, epochs: int = HORIZON, sign: int = 1) -> list[Trial]:
    trials: list[Trial] = []
    for number in range(count):
        trials.append(trial(number, searcher.suggest(trials, number), epochs, sign=sign))
    return trials


def test_first_trials_are_spread_over_the_space() -> None:
    searcher = search()

    points = [searcher.suggest([], number) for number in range(SPREAD_TRIALS)]

    exponents = sorted(math.log10(float(point["lr"])) for point in points)
    assert max(np.diff([-5, *exponents, -3])) < 0.75
    assert {point["norm"] for point in points} == {'"batch"', '"layer"'}


def test_later_trials_are_better_than_those_before() -> None:
    trials = run(search(), SPREAD_TRIALS + 8)

    spread = [score(t.point) for t in trials[:SPREAD_TRIALS]]
    searched = [score(t.point) for t in trials[SPREAD_TRIALS:]]
    assert max(searched) > max(spread)
    assert np.median(searched) > np.median(spread)


def test_the_same_trials_give_the_same_suggestion() -> None:
    trials = run(search(), SPREAD_TRIALS)

    assert search().suggest(trials, 8) == search().suggest(trials, 8)
    assert search(seed=2).suggest(trials, 8) != search().suggest(trials, 8)


def test_minimising_a_loss_is_maximising_its_negative() -> None:
    up = run(search(), SPREAD_TRIALS)
    down = run(search(goal="minimize"), SPREAD_TRIALS, sign=-1)

    assert search(goal="minimize").suggest(down, 8) == search().suggest(up, 8)


def test_agents_that_ask_at_once_get_different_places() -> None:
    searcher = search()
    trials = run(searcher, SPREAD_TRIALS)
    rows = []
    for number in range(8, 14):
        point = searcher.suggest(trials, number)
        trials.append(Trial(number, point, {}, "running"))
        rows.append((round(math.log10(float(point["lr"])), 2), point["width"], point["norm"]))

    assert len(set(rows)) == len(rows)


def test_what_was_tried_is_not_tried_again() -> None:
    few = {"a": space.Categorical(values=list(range(16)))}
    searcher = search(few)
    trials: list[Trial] = []
    for number in range(16):
        point = searcher.suggest(trials, number)
        trials.append(Trial(number, point, {1: 0.1, 2: int(point["a"]) / 16}, "finished"))

    later = [t.point["a"] for t in trials[SPREAD_TRIALS:]]
    assert len(set(later)) == len(later)
    assert searcher.suggest(trials, 16)["a"] in few["a"].axis().labels


def test_a_small_space_is_tried_wholly_before_anything_is_tried_again() -> None:
    small: Space = {
        "norm": space.Categorical(values=["batch", "layer", "group"]),
        "depth": space.IntUniform(min=2, max=4),
        "rate": space.Uniform(distribution="q_uniform", min=0.1, max=0.3, q=0.1),
        "rare": space.Categorical(
            distribution="categorical_w_probabilities", values=[1, 2], probabilities=[1.0, 0.0]
        ),
    }
    searcher = search(small)
    trials: list[Trial] = []
    for number in range(3 * 3 * 3 + 2):
        point = searcher.suggest(trials, number)
        good = 0.1 * float(point["depth"]) + float(point["rate"])
        trials.append(Trial(number, point, {1: 0.1, HORIZON: good}, "finished"))

    values = [str(space.values(small, t.point)) for t in trials]
    assert len(set(values[:27])) == 27 == len(set(values))


def test_some_trials_leave_what_is_known_to_be_good() -> None:
    """Most of the space is equally bad, and a small difference there leads nowhere."""
    wide = {f"x{i}": space.Uniform(distribution="uniform", min=0.0, max=1.0) for i in range(8)}
    searcher = search(wide)
    trials: list[Trial] = []
    for number in range(SPREAD_TRIALS + 16):
        point = searcher.suggest(trials, number)
        slope = 0.1 + 1e-4 * float(point["x0"])
        trials.append(Trial(number, point, dict.fromkeys(range(1, 21), slope), "finished"))

    def place(known: Trial) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([float(known.point[name]) for name in wide])

    best = place(max(trials, key=lambda t: t.curve[1]))
    far = [t for t in trials[SPREAD_TRIALS:] if np.linalg.norm(place(t) - best) > 0.8]
    assert len(far) >= 4


@pytest.mark.parametrize("name", sorted(space.FAMILIES))
def test_every_distribution_can_be_searched(name: str) -> None:
    family = space.FAMILIES[name]
    given: dict[str, dict[str, object]] = {
        "constant": {"value": 1},
        "categorical": {"values": [1, "a", None]},
        "categorical_w_probabilities": {"values": [1, 2], "probabilities": [0.3, 0.7]},
    }
    limits = {"min": 1, "max": 5} if "min" in family.model_fields else {}
    distribution = family.model_validate({"distribution": name, **given.get(name, limits)})
    searched = {"x": distribution, "y": space.Uniform(distribution="uniform", min=0, max=1)}
    searcher = search(searched)
    trials: list[Trial] = []

    for number in range(SPREAD_TRIALS + 3):
        point = searcher.suggest(trials, number)
        trials.append(Trial(number, point, {1: 0.2, 2: float(point["y"])}, "finished"))

    for known in trials:
        value = space.values(searched, known.point)["x"]
        assert value is None or isinstance(value, int | float | str)


def test_rungs_lie_within_the_trial() -> None:
    for horizon in range(1, 200):
        marks = (*rungs(horizon), *late_rungs(horizon))
        assert marks == tuple(sorted(set(marks)))
        assert all(0 < mark < horizon for mark in marks)
    assert rungs(1) == late_rungs(1) == ()


GOOD: Point = {"lr": 1e-4, "width": 6, "norm": '"layer"'}
BAD: Point = {"lr": 1e-5, "width": 1, "norm": '"batch"'}


def test_a_hopeless_trial_is_stopped_at_a_rung() -> None:
    searcher = search()
    trials = [*run(searcher, SPREAD_TRIALS), trial(8, BAD, epochs=2, state="running")]

    assert searcher.should_stop(8, trials)


def test_a_promising_trial_goes_on() -> None:
    searcher = search()
    trials = [*run(searcher, SPREAD_TRIALS), trial(8, GOOD, epochs=2, state="running")]

    assert not searcher.should_stop(8, trials)


def test_nothing_is_judged_between_the_rungs() -> None:
    searcher = search()
    trials = [*run(searcher, SPREAD_TRIALS), trial(8, BAD, epochs=3, state="running")]

    assert not searcher.should_stop(8, trials)


def test_nothing_is_judged_before_there_is_something_to_compare_with() -> None:
    assert not search().should_stop(0, [trial(0, BAD, epochs=2, state="running")])


def test_without_a_horizon_nothing_is_stopped_before_a_trial_finished() -> None:
    searcher = search(horizon=None)
    young = [trial(n, t.point, epochs=2, state="running") for n, t in enumerate(run(search(), 8))]
    young[1] = trial(1, BAD, epochs=2, state="running")
    finished = run(search(seed=3), 9)

    assert not searcher.should_stop(1, young)
    assert searcher.should_stop(1, [finished[0], young[1], *finished[2:]])


def test_a_trial_that_collapses_is_stopped() -> None:
    searcher = search()
    collapsed = {**curve(GOOD, 6), 7: -1.0, 8: -1.0}
    trials = [*run(searcher, SPREAD_TRIALS), Trial(8, GOOD, collapsed, "running")]

    assert searcher.should_stop(8, trials)


def test_the_search_turns_away_from_where_trials_collapse() -> None:
    def collapses(point: Point) -> bool:
        return bool(point["lr"] > 5e-5)

    searcher = search()
    trials: list[Trial] = []
    for number in range(SPREAD_TRIALS + 8):
        point = searcher.suggest(trials, number)
        if collapses(point):
            fallen = curve(point, 4) | {5: -1.0, 6: -1.0}
            trials.append(Trial(number, point, fallen, "stopped"))
        else:
            trials.append(Trial(number, point, curve(point, HORIZON), "finished"))

    assert sum(collapses(t.point) for t in trials[SPREAD_TRIALS:]) <= 4
    assert max(score(t.point) for t in trials if not collapses(t.point)) > 0.8


def test_one_collapse_among_many_is_bad_luck() -> None:
    trials = run(search(), SPREAD_TRIALS + 6)
    best = max(trials, key=lambda t: max(t.curve.values()))
    stopped = Trial(14, best.point, curve(best.point, 4), "stopped")
    collapsed = Trial(14, best.point, {**stopped.curve, 5: -1.0, 6: -1.0}, "stopped")

    as_if_stopped = search().suggest([*trials, stopped], 15)

    assert search().suggest([*trials, collapsed], 15) == as_if_stopped


def test_a_thousand_trials_are_answered_from_a_sample() -> None:
    rng = np.random.default_rng(0)
    trials = [
        trial(n, space.draw(SPACE, rng), epochs=int(rng.integers(1, 21))) for n in range(1000)
    ]
    best = max(trials, key=lambda t: max(t.curve.values()))

    point = search().suggest(trials, 1002)  # one that does not explore

    assert score(point) > np.quantile([score(t.point) for t in trials], 0.9)
    assert score(point) > score(best.point) - 0.1
