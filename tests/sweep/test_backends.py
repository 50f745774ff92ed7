"""What every backend must hold to: one suite, run against each.

What a backend may lack is a `Capability`: a test that asks for one runs on the backends that keep
it. What W&B does instead is tested in test_wandb.py.
"""

import errno
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from detector.errors import ConfigError, PreemptedError, StoreLostError, SweepError
from detector.interrupt import catch_sigterm
from detector.sweep.agent import AgentEvent, AgentSummary, run_agent
from detector.sweep.backends.attempts import Slot, waiting_copy
from detector.sweep.backends.held import StudyTrial
from detector.sweep.backends.optuna import OptunaBackend, OptunaSweep
from detector.sweep.backends.wandb import WandbBackend, WandbSweep
from detector.sweep.best import best_trial
from detector.sweep.capabilities import Capability
from detector.sweep.opening import open_backend
from detector.sweep.protocol import Backend, HeldTrial, Idle
from detector.sweep.status import Rung, count_rungs, sweep_status
from detector.sweep.trial import SWEEP_STOPPED, Objective, TrialEnd, TrialHandle
from tests.sweep.taking import NewSweep, take

T = TypeVar("T")
EPOCHS = 4

counts = pytest.mark.keeps(Capability.COUNTS)
requeues = pytest.mark.keeps(Capability.REQUEUES)
answers_at_once = pytest.mark.keeps(Capability.ANSWERS_AT_ONCE)
searches = pytest.mark.keeps(Capability.SEARCHES)


def quiet(event: AgentEvent) -> None:
    """Takes an agent's events and prints none."""


def scoring(value: Callable[[Any, int], float]) -> Objective:
    """An objective that reports `value(params, epoch)` for each epoch."""

    def objective(trial: TrialHandle) -> TrialEnd:
        for epoch in range(1, EPOCHS + 1):
            if not trial.report(epoch, {"score": value(trial.params, epoch)}):
                return "stopped"
        return "finished"

    return objective


def rising(params: dict[str, float], epoch: int) -> float:
    return epoch + params["x"]


by_x = scoring(rising)


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run every call in a thread of its own, all from one moment on; their results."""
    together = threading.Barrier(len(calls))
    results: list[T] = []

    def run(call: Callable[[], T]) -> None:
        together.wait()
        results.append(call())

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(calls)
    return results


def die(trial: HeldTrial | Idle) -> None:
    """End the heartbeats of an agent, as SIGKILL does."""
    assert isinstance(trial, StudyTrial)
    trial._has_ended.set()


def work(
    sweep: OptunaSweep | WandbSweep,
    objective: Callable[..., Any] = by_x,
    agent: str = "a1",
    **options: Any,
) -> AgentSummary:
    return run_agent(sweep, objective, agent=agent, on_event=quiet, **options)


# Several agents


@counts
def test_two_agents_share_exactly_run_cap_trials(
    new_sweep: NewSweep, start_agent: Callable[..., Any], epochs_of: Callable[..., Any]
) -> None:
    sweep = new_sweep(run_cap=9)
    agents = [start_agent(sweep.id, name) for name in ("a1", "a2")]
    assert [agent.wait(180) for agent in agents] == [0, 0]
    trials = sweep.trials()
    assert [trial.number for trial in trials] == list(range(9))
    assert {trial.state for trial in trials} == {"finished"}
    for trial in trials:
        assert epochs_of(trial.number) == [(trial.agent, epoch) for epoch in range(1, EPOCHS + 1)]


@requeues
def test_a_trial_is_resumed_from_its_last_epoch_after_sigkill_by_one_agent_only(
    new_sweep: NewSweep,
    start_agent: Callable[..., Any],
    epochs_of: Callable[..., Any],
    tmp_path: Path,
) -> None:
    sweep = new_sweep(run_cap=1)
    victim = start_agent(sweep.id, "victim", lease=2, hang_in_epoch=3)
    deadline = time.monotonic() + 30
    log = tmp_path / "trials" / "0"
    while not (log.exists() and "victim 3 begun" in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline, "the agent never came to the third epoch"
        time.sleep(0.05)
    (before,) = sweep.trials()
    victim.kill()
    victim.wait()
    rescuers = [start_agent(sweep.id, name, lease=2) for name in ("r1", "r2")]
    assert [agent.wait(180) for agent in rescuers] == [0, 0]

    (after,) = sweep.trials()
    assert after.state == "finished"
    assert after.params == before.params
    assert after.attempts == 2
    assert after.agent in {"r1", "r2"}
    assert epochs_of(0) == [("victim", 1), ("victim", 2), (after.agent, 3), (after.agent, 4)]
    assert list(after.curve) == [1, 2, 3, 4]


def test_only_one_of_many_agents_is_given_a_waiting_trial(url: str, new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)
    sweep.claim("first").release()
    agents = [open_backend(url, lease_seconds=30).open(sweep.id) for _ in range(6)]
    for _ in range(4):
        claims = at_once([partial(agent.claim, "a") for agent in agents])
        (held,) = [claim for claim in claims if not isinstance(claim, Idle)]
        held.release()


@counts
def test_agents_that_ask_at_once_never_exceed_run_cap(url: str, new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=3)
    agents = [open_backend(url, lease_seconds=30).open(sweep.id) for _ in range(6)]
    claims = at_once([partial(agent.claim, "a") for agent in agents])
    held = [claim.number for claim in claims if not isinstance(claim, Idle)]
    assert sorted(held) == [0, 1, 2]
    assert len(sweep.trials()) == 3


@searches
def test_two_agents_run_every_point_of_a_grid_once(
    new_sweep: NewSweep, start_agent: Callable[..., Any]
) -> None:
    sweep = new_sweep(
        method="grid",
        parameters={"x": {"values": [0, 0.5, 1]}, "flag": {"values": [True, None]}},
    )
    agents = [start_agent(sweep.id, name) for name in ("a1", "a2")]
    assert [agent.wait(180) for agent in agents] == [0, 0]
    trials = sweep.trials()
    assert {trial.state for trial in trials} == {"finished"}
    points = [(trial.params["x"], trial.params["flag"]) for trial in trials]
    assert points == [(x, flag) for x in (0, 0.5, 1) for flag in (True, None)]


# Taking over


@requeues
def test_an_agent_whose_trial_was_taken_over_stops_and_its_result_does_not_count(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=1)
    slow = sweep.claim("slow")
    assert slow.report(1, 0.1)
    (slot,) = sweep.study.slots()
    assert sweep.study.requeue(slot, {})
    successor = sweep.claim("quick")
    assert (successor.number, successor.epoch, successor.params) == (0, 1, slow.params)

    assert not slow.report(2, 0.9)
    assert not slow.finish()
    successor.report(2, 0.2)
    assert successor.finish()
    (trial,) = sweep.trials()
    assert (trial.state, trial.agent, dict(trial.curve)) == ("finished", "quick", {1: 0.1, 2: 0.2})
    before, after = trial.holds
    assert (before.agent, after.agent) == ("slow", "quick")
    assert before.since <= before.until <= after.since <= after.until == trial.ended


@counts
def test_who_runs_a_trial_holds_it_without_an_end(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)
    sweep.claim("preempted").release()
    held = sweep.claim("busy")
    before, now = sweep.trials()[0].holds
    assert (before.agent, now.agent, now.until) == ("preempted", "busy", None)
    assert before.until is not None
    held.release()


@requeues
@pytest.mark.parametrize("how", ["begun", "taken"])
def test_who_was_paused_while_a_trial_was_given_to_him_asks_again(
    how: str, new_sweep: NewSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another agent counts him as dead before his lease is written."""
    sweep = new_sweep(run_cap=1)
    if how == "taken":
        sweep.claim("first").release()
    hold, paused = sweep._hold, list[Slot]()

    def paused_before(slot: Slot, agent: str) -> object:
        if not paused:
            paused.append(slot)
            sweep.study.bury(sweep.study.slots()[0], is_witnessed=False)
        return hold(slot, agent)

    monkeypatch.setattr(sweep, "_hold", paused_before)
    claims = [sweep.claim("a1"), sweep.claim("a1")]
    (held,) = [claim for claim in claims if not isinstance(claim, Idle)]
    assert held.report(1, 0.5)
    assert held.finish()
    assert [(t.number, t.state) for t in sweep.trials()] == [(0, "finished")]


@requeues
def test_a_trial_requeued_twice_at_once_waits_once(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)
    sweep.claim("dead")
    (slot,) = sweep.study.slots()
    assert sweep.study.requeue(slot, {})
    assert not sweep.study.requeue(slot, {})
    held = sweep.claim("a1")
    assert held.number == 0
    assert sweep.claim("a2") is Idle.UNSURE
    held.report(1, 0.5)
    held.finish()
    assert sweep.claim("a2") is Idle.DONE


@requeues
def test_a_takeover_that_was_itself_cut_off_is_completed_by_the_next_agent(
    url: str, new_sweep: NewSweep
) -> None:
    sweep = open_backend(url, lease_seconds=0.4).open(new_sweep(run_cap=1).id)
    assert isinstance(sweep, OptunaSweep)
    die(sweep.claim("dead"))
    (slot,) = sweep.study.slots()
    sweep.study.storage.create_new_trial(sweep.study.study_id, waiting_copy(slot, {}))
    assert sweep.trials()[0].state == "running"

    summary = work(sweep, agent="next")
    assert dict(summary.outcomes) == {0: "finished"}
    assert sweep.trials()[0].attempts == 2


@requeues
def test_a_trial_that_kills_every_training_is_given_up(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)
    for _ in range(4):
        held = take(sweep, "doomed")
        assert sweep.requeue(held.number, held.attempt, died=True)
    (trial,) = sweep.trials()
    assert (trial.state, trial.attempts) == ("failed", 4)
    assert "4 trainings of it in a row died before they finished epoch 1" in (trial.reason or "")


@requeues
def test_a_trial_outlives_machines_that_die_but_not_every_one_there_is(
    url: str, new_sweep: NewSweep
) -> None:
    sweep = open_backend(url, lease_seconds=0.2).open(new_sweep(run_cap=1).id)
    deadline = time.monotonic() + 60
    taken = []
    while sweep.trials() == [] or sweep.trials()[0].state != "failed":
        assert time.monotonic() < deadline
        claim = sweep.claim("on a machine that dies")
        if not isinstance(claim, Idle):
            taken.append(claim.attempt)
            die(claim)
        time.sleep(sweep.poll_seconds)
    (trial,) = sweep.trials()
    assert trial.attempts == len(taken) == 10
    assert "10 agents in a row died, or their machines, before" in (trial.reason or "")


@requeues
@pytest.mark.parametrize("died", [False, True])
def test_a_trial_that_is_requeued_for_a_dead_process_is_free_at_once(
    new_sweep: NewSweep, died: bool
) -> None:
    sweep = new_sweep(run_cap=1)
    held = sweep.claim("a1")
    held.report(1, 0.5)
    assert sweep.requeue(held.number, held.attempt, died=died)
    again = sweep.claim("a2")
    assert (again.number, again.epoch, again.attempt) == (held.number, 1, held.attempt + 1)
    assert not held.report(2, 0.6)
    again.report(2, 0.7)
    again.finish()
    (trial,) = sweep.trials()
    assert (trial.state, trial.curve) == ("finished", {1: 0.5, 2: 0.7})


def test_nothing_is_requeued_on_behalf_of_an_attempt_that_has_ended(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=1)
    first = sweep.claim("a1")
    first.release()
    assert not sweep.requeue(first.number, first.attempt, died=True)
    second = sweep.claim("a2")
    assert not sweep.requeue(first.number, first.attempt, died=True)
    assert second.report(1, 0.5)
    second.finish()
    assert not sweep.requeue(second.number, second.attempt, died=True)
    assert sweep.trials()[0].state == "finished"


# How a trial ends


def test_a_preempted_trial_is_the_first_to_be_taken_again_with_its_number_and_parameters(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=3)

    def interrupted(trial: TrialHandle) -> str:
        trial.report(1, {"score": 0.5})
        return "preempted"

    first = work(sweep, interrupted)
    assert (first.status, list(first.outcomes.values())) == ("preempted", ["preempted"])
    (released,) = sweep.trials()
    assert released.state == "waiting"

    again = sweep.claim("a2")
    assert (again.number, again.epoch, again.params) == (released.number, 1, released.params)
    assert [again.number] == list(first.outcomes)


def test_an_interrupted_agent_releases_its_trial(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)

    def interrupted(trial: TrialHandle) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(sweep, interrupted)
    assert sweep.trials()[0].state == "waiting"


@pytest.mark.parametrize("lost", [StoreLostError("the store is away"), PreemptedError("asked")])
def test_a_trial_whose_store_stays_away_is_released_and_not_blamed(
    new_sweep: NewSweep, lost: StoreLostError | PreemptedError
) -> None:
    sweep = new_sweep(run_cap=1)

    def objective(trial: TrialHandle) -> None:
        trial.report(1, {"score": 0.5})
        raise lost

    with pytest.raises(type(lost)):
        work(sweep, objective)
    (trial,) = sweep.trials()
    assert (trial.state, trial.reason) == ("waiting", None)
    assert dict(work(sweep, agent="a2").outcomes) == {trial.number: "finished"}


def full_at_first(times: int) -> Objective:
    """An objective that meets a full disk after an epoch, so many times."""
    left = [OSError(errno.ENOSPC, "No space left on device", "last.ckpt")] * times

    def objective(trial: TrialHandle) -> TrialEnd:
        trial.report(1, {"score": 0.5})
        if left:
            raise left.pop()
        return "finished"

    return objective


def test_a_full_disk_is_waited_for_by_the_agent_that_has_the_trial(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)
    assert list(work(sweep, full_at_first(2)).outcomes.values()) == ["finished"]
    (trial,) = sweep.trials()
    assert (trial.state, trial.attempts, trial.reason) == ("finished", 1, None)


def test_a_disk_that_stays_full_is_not_held_against_the_trial(
    new_sweep: NewSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_PATIENCE_SECONDS", "0")
    sweep = new_sweep(run_cap=1)
    with pytest.raises(StoreLostError, match=r"a training could not go on here: .*last\.ckpt"):
        work(sweep, full_at_first(10**6))
    (trial,) = sweep.trials()
    assert (trial.state, trial.reason) == ("waiting", None)
    assert list(work(sweep, agent="a2").outcomes.values()) == ["finished"]


def test_a_trial_that_fails_once_is_tried_again(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)
    tries = []

    def fails_once(trial: TrialHandle) -> TrialEnd:
        tries.append(trial.number)
        if len(tries) == 1:
            raise RuntimeError("CUDA error")
        return by_x(trial)

    work(sweep, fails_once)
    (trial,) = sweep.trials()
    assert tries == [trial.number] * 2
    assert (trial.state, trial.attempts) == ("finished", 2)


def test_a_trial_that_fails_again_has_failed_with_its_reason(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)

    def fails(trial: TrialHandle) -> None:
        trial.report(1, {"score": 9.0})
        raise RuntimeError("CUDA error")

    work(sweep, fails)
    (trial,) = sweep.trials()
    assert (trial.state, trial.reason) == ("failed", "RuntimeError: CUDA error")
    assert best_trial([trial], "maximize") is None


def test_values_that_do_not_go_together_fail_their_trial_at_once_and_blame_no_agent(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=4)

    def refuses(trial: TrialHandle) -> None:
        raise ConfigError("eta_min is above lr")

    assert work(sweep, refuses).status == "done"
    assert [trial.attempts for trial in sweep.trials()] == [1, 1, 1, 1]


@counts
def test_a_bad_node_is_stopped_after_three_failures_and_others_run_its_trials(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=4)

    def fails(trial: TrialHandle) -> None:
        raise RuntimeError("no GPU")

    with pytest.raises(SweepError, match=r"failed 3 trials in a row, the last with .*no GPU"):
        work(sweep, fails, agent="bad")
    assert [trial.state for trial in sweep.trials()] == ["waiting"] * 3
    work(sweep, agent="good")
    assert [trial.state for trial in sweep.trials()] == ["finished"] * 4


def test_a_bad_node_that_is_started_again_and_again_ends_no_trial(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=4)

    def fails(trial: TrialHandle) -> None:
        raise RuntimeError("no GPU")

    for name in ("bad", "bad-again", "bad-once-more"):
        with pytest.raises(SweepError, match="3 trials in a row"):
            work(sweep, fails, agent=name)
    assert {trial.state for trial in sweep.trials()} == {"waiting"}
    work(sweep, agent="good")
    assert [trial.state for trial in sweep.trials()] == ["finished"] * 4


@counts
def test_what_failed_on_a_bad_node_is_left_to_other_nodes_while_they_work(
    url: str, new_sweep: NewSweep
) -> None:
    sweep = new_sweep(run_cap=2)
    sweep.claim("bad").suspect("no GPU")
    other_node = open_backend(url, lease_seconds=30)
    assert isinstance(other_node, OptunaBackend)
    other_node.node = "elsewhere"
    elsewhere = other_node.open(sweep.id)
    held = take(elsewhere, "good")
    sweep.claim("bad-again").suspect("no GPU")
    assert held.number == 0
    assert sweep.claim("bad-once-more") is Idle.UNSURE
    assert take(elsewhere, "good-too").number == 1


@searches
def test_a_good_node_fails_the_trials_that_cannot_be_trained_and_no_other(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(method="grid", parameters={"x": {"values": [*range(8)]}})

    def some_fail(trial: TrialHandle) -> TrialEnd:
        if int(str(trial.params["x"])) % 2:
            raise RuntimeError("out of memory")
        return by_x(trial)

    assert work(sweep, some_fail).status == "done"
    states = [trial.state for trial in sweep.trials()]
    assert states == ["finished", "failed"] * 4


def test_a_metric_that_is_never_a_number_is_no_score(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)
    work(sweep, scoring(lambda *_: math.nan))
    (trial,) = sweep.trials()
    assert (trial.state, dict(trial.curve), trial.epoch) == ("failed", {}, EPOCHS)
    assert trial.reason == "no finite value of score was reported"


def test_an_epoch_without_a_number_is_left_out_of_the_curve(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)
    work(sweep, scoring(lambda _, epoch: math.nan if epoch == 2 else epoch))
    (trial,) = sweep.trials()
    assert (trial.state, dict(trial.curve)) == ("finished", {1: 1, 3: 3, 4: 4})


def test_a_metric_that_is_never_reported_is_named_with_the_nearest_one(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=1)

    def reports_another(trial: TrialHandle) -> str:
        trial.report(1, {"scores": 0.5, "loss": 1.0})
        return "finished"

    work(sweep, reports_another)
    (trial,) = sweep.trials()
    assert trial.reason == "score was never reported, but loss, scores were; did you mean scores?"


# Which trials there are


@searches
def test_early_termination_stops_what_is_worse_at_a_band_and_keeps_its_curve(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(
        method="grid",
        parameters={"x": {"values": [3, 2, 1, 4]}},
        early_terminate={"type": "hyperband", "min_iter": 2},
    )
    work(sweep)
    trials = sweep.trials()
    assert [trial.state for trial in trials] == ["finished", "stopped", "stopped", "finished"]
    assert dict(trials[1].curve) == {1: 3, 2: 4}
    assert trials[1].reason == "early termination after epoch 2"
    assert count_rungs(trials, sweep.rungs()) == [Rung(2, 4, 2)]
    assert sweep.best().params["x"] == 4


@counts
def test_a_sweep_stopped_now_ends_running_trials_at_their_report_and_starts_none(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=5)

    def stops_the_sweep(params: dict[str, float], epoch: int) -> float:
        if epoch == 2:
            sweep.stop(now=True)
        return float(epoch)

    summary = work(sweep, scoring(stops_the_sweep))
    assert dict(summary.outcomes) == {0: "stopped"}
    assert sweep.claim("a2") is Idle.DONE
    (trial,) = sweep.trials()
    assert (trial.epoch, trial.reason) == (2, SWEEP_STOPPED)


def test_a_stopped_sweep_begins_no_trial_and_finishes_those_that_were_begun(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=5)
    sweep.claim("preempted").release()

    def stops_the_sweep(params: dict[str, float], epoch: int) -> float:
        sweep.stop()
        return float(epoch)

    summary = work(sweep, scoring(stops_the_sweep))
    assert list(summary.outcomes.values()) == ["finished"]
    assert sweep.is_stopped()
    assert [(trial.state, trial.epoch) for trial in sweep.trials()] == [("finished", EPOCHS)]


# What is seen of it meanwhile


@answers_at_once
def test_a_running_trial_names_its_agent_since_when_and_its_last_heartbeat(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=2)
    begun = time.time()
    held = sweep.claim("a1")
    held.report(1, 0.5)
    (agent,) = sweep_status(sweep).agents
    assert (agent.name, agent.trial, agent.epoch, agent.lease_seconds) == ("a1", 0, 1, 30)
    assert agent.since is not None and agent.last_sign is not None
    assert begun <= agent.since <= agent.last_sign <= time.time()
    held.release()
    assert sweep_status(sweep).agents == []


@searches
def test_the_own_rule_has_rungs_where_it_is_known_how_long_a_trial_is(
    backend: Backend, new_sweep: NewSweep
) -> None:
    spec = new_sweep(detsweep={"stopping": "adaptive"}).spec
    assert backend.create(spec).rungs() == ()
    assert backend.create(spec, max_epochs=20).rungs() == (2, 4, 8, 12)
    assert backend.create(new_sweep(method="bayes").spec, max_epochs=20).rungs() == ()


# How an agent leaves


def test_an_agent_that_is_asked_to_end_releases_its_trial_after_the_epoch(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=2)

    def is_asked_to_end(params: dict[str, float], epoch: int) -> float:
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return float(epoch)

    summary = work(sweep, scoring(is_asked_to_end))
    assert (summary.status, list(summary.outcomes.values())) == ("preempted", ["preempted"])
    (trial,) = sweep.trials()
    assert (trial.state, dict(trial.curve)) == ("waiting", {1: 1.0, 2: 2.0})
    others = work(sweep, agent="a2").outcomes
    assert trial.number in others
    assert list(others.values()) == ["finished", "finished"]


def test_an_agent_that_is_asked_to_end_in_a_last_epoch_takes_no_other_trial(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=2)

    def is_asked_to_end(trial: TrialHandle) -> str:
        with catch_sigterm():  # a training that reacts to SIGTERM, but has nothing left to do
            os.kill(os.getpid(), signal.SIGTERM)
            trial.report(1, {"score": 1.0})
            return "finished"

    summary = work(sweep, is_asked_to_end)
    assert (summary.status, list(summary.outcomes.values())) == ("preempted", ["finished"])


def test_an_agent_leaves_at_its_timeout_and_another_goes_on(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=1)

    def takes_a_while(trial: TrialHandle) -> str:
        time.sleep(0.2)
        assert not trial.report(1, {"score": 1.0})
        return "stopped"

    summary = work(sweep, takes_a_while, timeout=0.1)
    assert (summary.status, list(summary.outcomes.values())) == ("done", ["preempted"])
    assert sweep.claim("a2").epoch == 1


def test_an_agent_takes_no_more_trials_than_its_count(new_sweep: NewSweep) -> None:
    sweep = new_sweep()
    assert len(work(sweep, count=2).outcomes) == 2
    assert len(work(sweep, count=1).outcomes) == 1
    assert [trial.state for trial in sweep.trials()].count("finished") == 3


@pytest.mark.parametrize("method", ["random", "bayes"])
@searches
def test_the_same_file_gives_the_same_trials(new_sweep: NewSweep, method: str) -> None:
    sweeps = [new_sweep(method=method, run_cap=6) for _ in range(2)]
    for sweep in sweeps:
        work(sweep)
    first, second = ([t.params for t in sweep.trials()] for sweep in sweeps)
    assert first == second
    assert len({params["x"] for params in first}) == 6


@searches
def test_values_of_mixed_types_reach_the_training_and_the_record_unchanged(
    new_sweep: NewSweep,
) -> None:
    mixed = [True, 1, 1.0, None, "1", [1, 2], {"a": False}]
    sweep = new_sweep(
        method="bayes", run_cap=12, parameters={"x": {"value": 0.5}, "any": {"values": mixed}}
    )
    seen = []

    def note(params: Any, epoch: int) -> float:
        seen.append(params["any"])
        return float(epoch)

    work(sweep, scoring(note))
    kept = [trial.params["any"] for trial in sweep.trials()]
    assert [repr(value) for value in kept] == [repr(value) for value in seen[::EPOCHS]]
    assert {repr(value) for value in kept} <= {repr(value) for value in mixed}


@searches
def test_bayes_moves_towards_what_scored_well(new_sweep: NewSweep) -> None:
    sweep = new_sweep(method="bayes", run_cap=20, parameters={"x": {"min": 0.0, "max": 1.0}})
    work(sweep, scoring(lambda params, _: -abs(params["x"] - 0.8)))
    misses = [abs(trial.params["x"] - 0.8) for trial in sweep.trials()]
    assert sum(misses[-8:]) < sum(misses[:6]) / 6 * 8 / 2


def test_a_sweep_that_is_not_there_is_an_error(backend: Backend | WandbBackend) -> None:
    with pytest.raises(SweepError, match=r"there is no (such )?sweep"):
        backend.open("nowhere")


def test_no_thread_stays_behind_for_a_trial_that_was_dropped(new_sweep: NewSweep) -> None:
    before = set(threading.enumerate())
    held = take(new_sweep(), "a1")
    (thread,) = (
        thread
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith(("lease of", "commands for"))
    )
    del held
    thread.join(timeout=10)
    assert not thread.is_alive()


# What a person changes


@searches
def test_a_sweep_that_has_ended_goes_on_with_trials_that_are_added(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=2)
    work(sweep)
    assert sweep.claim("a") is Idle.DONE
    sweep.extend(2)
    assert sweep_status(sweep).limit == 4
    work(sweep)
    trials = sweep.trials()
    assert [(trial.number, trial.state, trial.is_added) for trial in trials] == [
        (0, "finished", False),
        (1, "finished", False),
        (2, "finished", True),
        (3, "finished", True),
    ]
    assert all(trial.started and trial.started <= trial.ended for trial in trials)
    assert len({trial.params["x"] for trial in trials}) == 4
    assert sweep.claim("a") is Idle.DONE


@searches
def test_trials_that_are_added_count_beyond_run_cap_from_the_start(new_sweep: NewSweep) -> None:
    sweep = new_sweep(run_cap=3)
    first = take(sweep, "a")
    sweep.extend(1)
    first.finish() if first.report(1, 0.5) else first.stop()
    work(sweep)
    assert [trial.is_added for trial in sweep.trials()] == [False, True, False, False]


@searches
def test_a_stopped_sweep_ends_added_trials_and_goes_on_with_further_ones(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=1)
    sweep.extend(1)
    sweep.stop()
    assert sweep.claim("a") is Idle.DONE
    assert [trial.state for trial in sweep.trials()] == ["stopped"]
    sweep.extend(1)
    assert not sweep.is_stopped()
    work(sweep)
    assert [trial.state for trial in sweep.trials()] == ["stopped", "finished", "finished"]


@searches
def test_a_trial_that_failed_for_good_goes_on_where_a_person_asks_for_it(
    new_sweep: NewSweep,
) -> None:
    sweep = new_sweep(run_cap=1)
    held = take(sweep, "a")
    params = held.params
    held.report(1, 0.25)
    held.fail("the disk was full")
    assert sweep.claim("a") is Idle.DONE
    sweep.retry(0)
    again = take(sweep, "a")
    assert (again.number, again.params, again.epoch, again.failures) == (0, params, 1, 0)
    assert again.curve == {1: 0.25}
    assert again.attempt > held.attempt
    again.report(2, 0.5)
    again.finish()
    (trial,) = sweep.trials()
    assert (trial.state, trial.attempts) == ("finished", 2)
    for number, state in ((0, "finished"), (7, "not there")):
        with pytest.raises(SweepError, match=f"trial {number} is {state}"):
            sweep.retry(number)


@searches
def test_to_what_has_no_end_or_all_its_points_nothing_is_added(new_sweep: NewSweep) -> None:
    grid = {"method": "grid", "parameters": {"x": {"values": [0, 1]}}}
    for keys, why in ((grid, "all its points"), ({}, "no run_cap")):
        with pytest.raises(SweepError, match=why):
            new_sweep(**keys).extend(1)
