"""How a study is read as a sweep: the cases that real agents seldom meet."""

from typing import Any

import pytest
from optuna.trial import TrialState, create_trial
from optuna.trial._frozen import FrozenTrial

from detector.sweep.backends import attempts
from detector.sweep.backends.attempts import LeaseWatch, Slot, slots


def study(*trials: FrozenTrial) -> list[FrozenTrial]:
    """Optuna trials numbered as a storage numbers them."""
    for number, trial in enumerate(trials):
        trial.number = number
    return list(trials)


def attempt(state: TrialState, **attrs: Any) -> FrozenTrial:
    value = 1.0 if state == TrialState.COMPLETE else None
    return create_trial(state=state, value=value, user_attrs=attrs)


def copy_of(number: int, state: TrialState = TrialState.WAITING, **attrs: Any) -> FrozenTrial:
    return attempt(state, **{attempts.SUPERSEDES: number, **attrs})


RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING
FAIL, COMPLETE = TrialState.FAIL, TrialState.COMPLETE


def test_trials_are_numbered_by_their_first_attempts() -> None:
    sweep = slots(study(attempt(FAIL), copy_of(0), attempt(RUNNING), attempt(COMPLETE)), None)
    assert [slot.number for slot in sweep] == [0, 1, 2]
    assert [slot.state for slot in sweep] == ["waiting", "running", "finished"]


def test_first_attempts_beyond_the_limit_are_no_trials() -> None:
    assert len(slots(study(*[attempt(RUNNING) for _ in range(5)]), 3)) == 3


def test_a_copy_counts_only_once_the_attempt_before_it_has_failed() -> None:
    (slot,) = slots(study(attempt(RUNNING), copy_of(0)), None)
    assert slot.successor is not None
    assert (slot.state, slot.current.number, slot.successor.number) == ("running", 0, 1)


def test_a_copy_of_an_attempt_that_finished_after_all_is_ignored() -> None:
    (slot,) = slots(study(attempt(COMPLETE), copy_of(0)), None)
    assert slot.state == "finished"


def test_a_copy_of_an_attempt_that_ended_for_good_is_ignored() -> None:
    (slot,) = slots(study(attempt(FAIL, end="failed"), copy_of(0)), None)
    assert slot.state == "failed"


def test_a_copy_that_a_person_asked_for_goes_on_from_what_failed_for_good() -> None:
    asked = copy_of(0, retried=True)
    (slot,) = slots(study(attempt(FAIL, end="failed"), copy_of(0), asked, copy_of(0)), None)
    assert (slot.state, slot.current) == ("waiting", asked)


def test_of_several_copies_only_the_first_counts() -> None:
    (slot,) = slots(study(attempt(FAIL), copy_of(0), copy_of(0, COMPLETE)), None)
    assert (slot.state, slot.current.number) == ("waiting", 1)


def test_a_trial_may_need_many_attempts() -> None:
    (slot,) = slots(study(attempt(FAIL), copy_of(0, FAIL), copy_of(1, RUNNING)), None)
    assert (slot.state, len(slot.attempts)) == ("running", 3)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The observer's clock, which a test sets by `clock.now`."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(attempts, "time", clock)
    return clock


def running(beat: int, seconds: float = 10.0) -> list[Slot]:
    lease = {"agent": "a", "seconds": seconds, "beat": beat, "epoch": 0}
    return slots(study(attempt(RUNNING, lease=lease)), None)


def observe(
    watch: LeaseWatch, clock: Any, beats: list[int] | range, every: int
) -> tuple[bool, bool]:
    for beat in beats:
        watch.observe(running(beat))
        clock.now += every
    return watch.is_dead(running(0)[0]), watch.is_alive(running(0)[0])


def test_an_agent_is_dead_after_a_whole_lease_without_a_sign(clock: Any) -> None:
    watch = LeaseWatch(10)
    assert observe(watch, clock, [7, 7, 7], every=4) == (False, False)
    assert observe(watch, clock, [7], every=4) == (True, False)


def test_an_agent_whose_signs_arrive_lives_however_slow_its_own_clock(clock: Any) -> None:
    assert observe(LeaseWatch(10), clock, range(20), every=9) == (False, True)


def test_nothing_is_known_of_an_agent_that_was_seen_once(clock: Any) -> None:
    assert observe(LeaseWatch(10), clock, [7], every=100) == (False, False)


def test_a_gap_in_which_nobody_looked_is_not_held_against_an_agent(clock: Any) -> None:
    watch = LeaseWatch(10)
    observe(watch, clock, [1, 2], every=3600)  # the storage was away for an hour
    assert observe(watch, clock, [2], every=3) == (False, True)
    assert observe(watch, clock, [3], every=3) == (False, True)


def test_a_dead_agent_that_gives_a_sign_again_lives(clock: Any) -> None:
    watch = LeaseWatch(10)
    assert observe(watch, clock, [7] * 5, every=4)[0]
    assert observe(watch, clock, [8], every=4) == (False, True)


def test_the_lease_that_an_agent_itself_named_counts(clock: Any) -> None:
    watch = LeaseWatch(1)
    for _ in range(4):
        watch.observe(running(7, seconds=100))
        clock.now += 4
    assert not watch.is_dead(running(7, seconds=100)[0])
