"""How a sweep stands, and when it will have ended."""

from typing import Any

from rich.console import Console

from detector.sweep.status import AgentAtWork, Rung, SweepStatus, count_rungs, predict_end
from detector.sweep.status_view import status_line, status_tables
from detector.sweep.trial import SWEEP_STOPPED, TrialRecord


def ended(number: int, seconds: float, **changes: Any) -> TrialRecord:
    return TrialRecord(number, {}, "finished", {1: 0.5}, started=0.0, ended=seconds, **changes)


def running(number: int, since: float) -> TrialRecord:
    return TrialRecord(number, {}, "running", agent="a1", started=since, held_since=since)


def test_each_rung_counts_the_trials_that_came_to_it_and_those_stopped_there() -> None:
    curve = dict.fromkeys(range(1, 5), 0.5)
    trials = [
        TrialRecord(0, {}, "finished", curve),
        TrialRecord(1, {}, "stopped", {1: 0.1, 2: 0.1, 3: 0.1}, reason="early termination"),
        TrialRecord(2, {}, "stopped", {1: 0.1, 2: 0.1}, reason=SWEEP_STOPPED),
        TrialRecord(3, {}, "running", {1: 0.1}),
    ]
    assert count_rungs(trials, (2, 4, 8)) == [Rung(2, 3, 1), Rung(4, 1, 0)]
    assert count_rungs([], (2, 4, 8)) == [Rung(2, 0, 0)]
    assert count_rungs(trials, ()) == []


def test_the_end_is_that_of_the_last_trial_with_the_agents_at_work() -> None:
    trials = [ended(0, 100.0), ended(1, 100.0), ended(2, 100.0), running(3, 150.0)]
    assert predict_end(trials, 4, False, now=200.0) == 250.0
    assert predict_end(trials, 6, False, now=200.0) == 450.0
    two_agents = [*trials, running(4, 190.0)]
    assert predict_end(two_agents, 6, False, now=200.0) == 350.0
    assert predict_end(trials, 6, True, now=200.0) == 250.0, "a stopped sweep begins no more"


def test_trials_that_stop_early_shorten_what_is_predicted() -> None:
    trials = [ended(0, 100.0), ended(1, 20.0), ended(2, 30.0), running(3, 150.0)]
    assert predict_end(trials, 5, False, now=200.0) == 300.0
    assert predict_end(trials, 4, False, now=175.0) == 215.0


def test_nothing_is_predicted_that_would_be_a_guess() -> None:
    three = [ended(0, 100.0), ended(1, 100.0), ended(2, 100.0)]
    assert predict_end([*three[:2], running(2, 0.0)], 9, False, now=50.0) is None
    assert predict_end(three, 9, False, now=50.0) is None, "nobody works"
    assert predict_end([*three, running(3, 0.0)], None, False, now=50.0) is None, "no run_cap"
    assert predict_end([*three, running(3, 0.0)], 9, False, now=150.0) is None, "overdue"
    many = [running(number, 0.0) for number in range(3, 7)]
    assert predict_end([*three, *many], 9, False, now=50.0) is None, "the first are the shortest"
    waited = [*three[:2], ended(2, 900.0, attempts=2), running(3, 0.0)]
    assert predict_end(waited, 9, False, now=50.0) is None, "it waited for an agent meanwhile"


def test_on_a_small_terminal_the_best_trial_and_the_latest_are_shown() -> None:
    trials = [TrialRecord(number, {}, "finished", {1: 0.5}) for number in range(100)]
    status = SweepStatus(
        "abc", "bayes", "score", "maximize", 0.0, 100, False, 7, trials, [], [], None
    )
    console = Console(width=120)
    with console.capture() as captured:
        console.print(status_tables(status, height=20))
    lines = captured.get().splitlines()
    assert len(lines) < 20
    assert [line.split()[0] for line in lines if "finished" in line][:2] == ["7", "89"]
    assert "100 finished" in lines[-1]


def shown(agent: AgentAtWork, now: float = 1_000_000.0) -> tuple[str, str]:
    trial = TrialRecord(4, {"models.optimizer.lr": 3e-4}, "running", {1: 0.25}, epoch=1)
    status = SweepStatus(
        "abc", "bayes", "score", "maximize", now, 9, False, None, [trial], [agent], [], now + 60
    )
    console = Console(width=120)
    with console.capture() as captured:
        console.print(status_tables(status))
    return captured.get(), status_line(status)


def test_an_agent_is_shown_with_its_trial_and_its_last_sign_of_life() -> None:
    text, line = shown(AgentAtWork("gpu-7", 4, 1, 999_000.0, 999_988.0, 120.0))
    assert "gpu-7" in text
    assert "12 s ago, lease 120 s" in text
    assert line.startswith("1 running · 1 agent at work · 1 epoch · ends about ")
    assert line in text.replace("\n", "")


def test_an_agent_that_is_silent_for_longer_than_its_lease_counts_as_dead() -> None:
    text, _ = shown(AgentAtWork("gpu-7", 4, 1, 999_000.0, 999_800.0, 120.0))
    assert "200 s ago, lease 120 s, counts as dead" in text


def test_nothing_is_said_of_the_signs_of_an_agent_whose_clock_is_fast() -> None:
    text, _ = shown(AgentAtWork("gpu-7", 4, 1, 999_000.0, 1_003_600.0, 120.0))
    assert "ago" not in text
