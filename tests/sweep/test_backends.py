"""What every backend must hold to: one suite, run against each.

W&B's server searches, queues and stops by itself. What is its own matter, or what its protocol has
no word for, is marked so, and kept by the other backends alone.
"""

import math
import os
import signal
import threading
import time
from functools import partial

import pytest

from detector.errors import ConfigError, PreemptedError, StoreLostError, SweepError
from detector.interrupt import catch_sigterm
from detector.sweep.agent import AgentEvent, run_agent
from detector.sweep.backends import Idle, open_backend
from detector.sweep.backends.attempts import waiting_copy
from detector.sweep.best import best_trial
from detector.sweep.status import Rung, count_rungs, sweep_status
from detector.sweep.trial import SWEEP_STOPPED

EPOCHS = 4

its_queue = pytest.mark.not_at_wandb("W&B's server numbers, hands out, requeues and counts trials")
its_heartbeat = pytest.mark.not_at_wandb("a run without a heartbeat crashes, and is not requeued")
its_delay = pytest.mark.not_at_wandb("what a running trial tells is shown a while later")
its_search = pytest.mark.not_at_wandb("W&B's server draws the parameters and ends trials early")


def quiet(event: AgentEvent) -> None:
    """Takes an agent's events and prints none."""


def scoring(value):
    """An objective that reports `value(params, epoch)` for each epoch."""

    def objective(trial):
        for epoch in range(1, EPOCHS + 1):
            if not trial.report(epoch, {"score": value(trial.params, epoch)}):
                return "stopped"
        return "finished"

    return objective


def rising(params, epoch):
    return epoch + params["x"]


by_x = scoring(rising)


def at_once(calls):
    """Run every call in a thread of its own, all from one moment on; their results."""
    together = threading.Barrier(len(calls))
    results = []

    def run(call):
        together.wait()
        results.append(call())

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(calls)
    return results


def die(trial):
    """End the signs of life of an agent, as SIGKILL does."""
    trial._given_back.set()


def work(backend, sweep_id, objective=by_x, agent="a1", **options):
    return run_agent(backend, sweep_id, objective, agent=agent, on_event=quiet, **options)


# Several agents


@its_queue
def test_two_agents_share_exactly_run_cap_trials(backend, new_sweep, start_agent, epochs_of):
    sweep_id = new_sweep(run_cap=9)
    agents = [start_agent(sweep_id, name) for name in ("a1", "a2")]
    assert [agent.wait(180) for agent in agents] == [0, 0]
    trials = backend.trials(sweep_id)
    assert [trial.number for trial in trials] == list(range(9))
    assert {trial.state for trial in trials} == {"finished"}
    for trial in trials:
        assert epochs_of(trial.number) == [(trial.agent, epoch) for epoch in range(1, EPOCHS + 1)]


@its_heartbeat
def test_a_trial_is_resumed_from_its_last_epoch_after_sigkill_by_one_agent_only(
    backend, new_sweep, start_agent, epochs_of, tmp_path
):
    sweep_id = new_sweep(run_cap=1)
    victim = start_agent(sweep_id, "victim", lease=2, hang_in_epoch=3)
    deadline = time.monotonic() + 30
    log = tmp_path / "trials" / "0"
    while not (log.exists() and "victim 3 begun" in log.read_text()):
        assert time.monotonic() < deadline, "the agent never came to the third epoch"
        time.sleep(0.05)
    (before,) = backend.trials(sweep_id)
    victim.kill()
    victim.wait()
    rescuers = [start_agent(sweep_id, name, lease=2) for name in ("r1", "r2")]
    assert [agent.wait(180) for agent in rescuers] == [0, 0]

    (after,) = backend.trials(sweep_id)
    assert after.state == "finished"
    assert after.params == before.params
    assert after.attempts == 2
    assert after.agent in {"r1", "r2"}
    assert epochs_of(0) == [("victim", 1), ("victim", 2), (after.agent, 3), (after.agent, 4)]
    assert list(after.curve) == [1, 2, 3, 4]


@its_queue
def test_only_one_of_many_agents_is_given_a_waiting_trial(url, backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)
    backend.claim(sweep_id, "first").release()
    agents = [open_backend(url, lease_seconds=30) for _ in range(6)]
    for _ in range(4):
        claims = at_once([partial(agent.claim, sweep_id, "a") for agent in agents])
        (held,) = [claim for claim in claims if not isinstance(claim, Idle)]
        held.release()


@its_queue
def test_agents_that_ask_at_once_never_exceed_run_cap(url, backend, new_sweep):
    sweep_id = new_sweep(run_cap=3)
    agents = [open_backend(url, lease_seconds=30) for _ in range(6)]
    claims = at_once([partial(agent.claim, sweep_id, "a") for agent in agents])
    held = [claim.number for claim in claims if not isinstance(claim, Idle)]
    assert sorted(held) == [0, 1, 2]
    assert len(backend.trials(sweep_id)) == 3


@its_search
def test_two_agents_run_every_point_of_a_grid_once(backend, new_sweep, start_agent):
    sweep_id = new_sweep(
        method="grid",
        parameters={"x": {"values": [0, 0.5, 1]}, "flag": {"values": [True, None]}},
    )
    agents = [start_agent(sweep_id, name) for name in ("a1", "a2")]
    assert [agent.wait(180) for agent in agents] == [0, 0]
    trials = backend.trials(sweep_id)
    assert {trial.state for trial in trials} == {"finished"}
    points = [(trial.params["x"], trial.params["flag"]) for trial in trials]
    assert points == [(x, flag) for x in (0, 0.5, 1) for flag in (True, None)]


# Taking over


@its_heartbeat
def test_an_agent_whose_trial_was_taken_over_stops_and_its_result_does_not_count(
    backend, new_sweep
):
    sweep_id = new_sweep(run_cap=1)
    slow = backend.claim(sweep_id, "slow")
    assert slow.report(1, 0.1)
    (slot,) = backend.slots(sweep_id)
    assert backend.requeue(sweep_id, slot, {})
    successor = backend.claim(sweep_id, "quick")
    assert (successor.number, successor.epoch, successor.params) == (0, 1, slow.params)

    assert not slow.report(2, 0.9)
    assert not slow.finish()
    successor.report(2, 0.2)
    assert successor.finish()
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, trial.agent, dict(trial.curve)) == ("finished", "quick", {1: 0.1, 2: 0.2})
    before, after = trial.holds
    assert (before.agent, after.agent) == ("slow", "quick")
    assert before.since <= before.until <= after.since <= after.until == trial.ended


@its_queue
def test_who_runs_a_trial_holds_it_without_an_end(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)
    backend.claim(sweep_id, "preempted").release()
    held = backend.claim(sweep_id, "busy")
    before, now = backend.trials(sweep_id)[0].holds
    assert (before.agent, now.agent, now.until) == ("preempted", "busy", None)
    assert before.until is not None
    held.release()


@its_heartbeat
def test_a_trial_requeued_twice_at_once_waits_once(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)
    backend.claim(sweep_id, "dead")
    (slot,) = backend.slots(sweep_id)
    assert backend.requeue(sweep_id, slot, {})
    assert not backend.requeue(sweep_id, slot, {})
    held = backend.claim(sweep_id, "a1")
    assert held.number == 0
    assert backend.claim(sweep_id, "a2") is Idle.UNSURE
    held.report(1, 0.5)
    held.finish()
    assert backend.claim(sweep_id, "a2") is Idle.DONE


@its_heartbeat
def test_a_takeover_that_was_itself_cut_off_is_completed_by_the_next_agent(url, new_sweep):
    backend = open_backend(url, lease_seconds=0.4)
    sweep_id = new_sweep(run_cap=1)
    die(backend.claim(sweep_id, "dead"))
    (slot,) = backend.slots(sweep_id)
    backend.storage.create_new_trial(backend.study_id(sweep_id), waiting_copy(slot, {}))
    assert backend.trials(sweep_id)[0].state == "running"

    summary = work(backend, sweep_id, agent="next")
    assert dict(summary.outcomes) == {0: "finished"}
    assert backend.trials(sweep_id)[0].attempts == 2


@its_heartbeat
def test_a_trial_that_kills_every_agent_is_given_up(url, new_sweep):
    backend = open_backend(url, lease_seconds=0.2)
    sweep_id = new_sweep(run_cap=1)
    deadline = time.monotonic() + 30
    while backend.trials(sweep_id) == [] or backend.trials(sweep_id)[0].state != "failed":
        assert time.monotonic() < deadline
        claim = backend.claim(sweep_id, "doomed")
        if not isinstance(claim, Idle):
            die(claim)
        time.sleep(backend.poll_seconds)
    (trial,) = backend.trials(sweep_id)
    assert trial.attempts == 4
    assert "agents in a row died before they finished epoch 1" in trial.reason


@its_heartbeat
@pytest.mark.parametrize("died", [False, True])
def test_a_trial_that_is_given_back_for_a_dead_process_is_free_at_once(backend, new_sweep, died):
    sweep_id = new_sweep(run_cap=1)
    held = backend.claim(sweep_id, "a1")
    held.report(1, 0.5)
    assert backend.give_back(sweep_id, held.number, held.attempt, died=died)
    again = backend.claim(sweep_id, "a2")
    assert (again.number, again.epoch, again.attempt) == (held.number, 1, held.attempt + 1)
    assert not held.report(2, 0.6)
    again.report(2, 0.7)
    again.finish()
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, trial.curve) == ("finished", {1: 0.5, 2: 0.7})


@its_heartbeat
def test_nothing_is_given_back_on_behalf_of_an_attempt_that_has_ended(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)
    first = backend.claim(sweep_id, "a1")
    first.release()
    assert not backend.give_back(sweep_id, first.number, first.attempt, died=True)
    second = backend.claim(sweep_id, "a2")
    assert not backend.give_back(sweep_id, first.number, first.attempt, died=True)
    assert second.report(1, 0.5)
    second.finish()
    assert not backend.give_back(sweep_id, second.number, second.attempt, died=True)
    assert backend.trials(sweep_id)[0].state == "finished"


# How a trial ends


def test_a_preempted_trial_is_the_first_to_be_taken_again_with_its_number_and_parameters(
    backend, new_sweep
):
    sweep_id = new_sweep(run_cap=3)

    def interrupted(trial):
        trial.report(1, {"score": 0.5})
        return "preempted"

    first = work(backend, sweep_id, interrupted)
    assert (first.status, list(first.outcomes.values())) == ("preempted", ["preempted"])
    (released,) = backend.trials(sweep_id)
    assert released.state == "waiting"

    again = backend.claim(sweep_id, "a2")
    assert (again.number, again.epoch, again.params) == (released.number, 1, released.params)
    assert [again.number] == list(first.outcomes)


def test_an_interrupted_agent_releases_its_trial(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)

    def interrupted(trial):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(backend, sweep_id, interrupted)
    assert backend.trials(sweep_id)[0].state == "waiting"


@its_queue
@pytest.mark.parametrize("lost", [StoreLostError("the store is away"), PreemptedError("asked")])
def test_a_trial_whose_store_stays_away_is_given_back_and_not_blamed(backend, new_sweep, lost):
    sweep_id = new_sweep(run_cap=1)

    def objective(trial):
        trial.report(1, {"score": 0.5})
        raise lost

    with pytest.raises(type(lost)):
        work(backend, sweep_id, objective)
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, trial.reason) == ("waiting", None)
    assert dict(work(backend, sweep_id, agent="a2").outcomes) == {0: "finished"}


def test_a_trial_that_fails_once_is_tried_again(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)
    tries = []

    def fails_once(trial):
        tries.append(trial.number)
        if len(tries) == 1:
            raise RuntimeError("CUDA error")
        return by_x(trial)

    work(backend, sweep_id, fails_once)
    (trial,) = backend.trials(sweep_id)
    assert tries == [trial.number] * 2
    assert (trial.state, trial.attempts) == ("finished", 2)


def test_a_trial_that_fails_again_has_failed_with_its_reason(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)

    def fails(trial):
        trial.report(1, {"score": 9.0})
        raise RuntimeError("CUDA error")

    work(backend, sweep_id, fails)
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, trial.reason) == ("failed", "RuntimeError: CUDA error")
    assert best_trial([trial], "maximize") is None


def test_values_that_do_not_go_together_fail_their_trial_at_once_and_blame_no_agent(
    backend, new_sweep
):
    sweep_id = new_sweep(run_cap=4)

    def refuses(trial):
        raise ConfigError("eta_min is above lr")

    assert work(backend, sweep_id, refuses).status == "done"
    assert [trial.attempts for trial in backend.trials(sweep_id)] == [1, 1, 1, 1]


@its_queue
def test_a_bad_node_is_stopped_after_three_failures_and_others_run_its_trials(backend, new_sweep):
    sweep_id = new_sweep(run_cap=4)

    def fails(trial):
        raise RuntimeError("no GPU")

    with pytest.raises(SweepError, match=r"failed 3 trials in a row, the last with .*no GPU"):
        work(backend, sweep_id, fails, agent="bad")
    assert [trial.state for trial in backend.trials(sweep_id)] == ["waiting"] * 3
    work(backend, sweep_id, agent="good")
    assert [trial.state for trial in backend.trials(sweep_id)] == ["finished"] * 4


@its_queue
def test_a_bad_node_that_is_started_again_and_again_ends_no_trial(backend, new_sweep):
    sweep_id = new_sweep(run_cap=4)

    def fails(trial):
        raise RuntimeError("no GPU")

    for name in ("bad", "bad-again", "bad-once-more"):
        with pytest.raises(SweepError, match="3 trials in a row"):
            work(backend, sweep_id, fails, agent=name)
    assert {trial.state for trial in backend.trials(sweep_id)} == {"waiting"}
    work(backend, sweep_id, agent="good")
    assert [trial.state for trial in backend.trials(sweep_id)] == ["finished"] * 4


@its_queue
def test_what_failed_on_a_bad_node_is_left_to_other_nodes_while_they_work(url, backend, new_sweep):
    sweep_id = new_sweep(run_cap=2)
    backend.claim(sweep_id, "bad").fail("no GPU", retry=True, held_against_it=False)
    elsewhere = open_backend(url, lease_seconds=30)
    elsewhere.node = "elsewhere"
    held = elsewhere.claim(sweep_id, "good")
    backend.claim(sweep_id, "bad-again").fail("no GPU", retry=True, held_against_it=False)
    assert held.number == 0
    assert backend.claim(sweep_id, "bad-once-more") is Idle.UNSURE
    assert elsewhere.claim(sweep_id, "good-too").number == 1


@its_search
def test_a_good_node_fails_the_trials_that_cannot_be_trained_and_no_other(backend, new_sweep):
    sweep_id = new_sweep(method="grid", parameters={"x": {"values": [*range(8)]}})

    def some_fail(trial):
        if trial.params["x"] % 2:
            raise RuntimeError("out of memory")
        return by_x(trial)

    assert work(backend, sweep_id, some_fail).status == "done"
    states = [trial.state for trial in backend.trials(sweep_id)]
    assert states == ["finished", "failed"] * 4


def test_a_metric_that_is_never_a_number_is_no_score(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)
    work(backend, sweep_id, scoring(lambda *_: math.nan))
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, dict(trial.curve), trial.epoch) == ("failed", {}, EPOCHS)
    assert trial.reason == "no finite value of score was reported"


def test_an_epoch_without_a_number_is_left_out_of_the_curve(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)
    work(backend, sweep_id, scoring(lambda _, epoch: math.nan if epoch == 2 else epoch))
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, dict(trial.curve)) == ("finished", {1: 1, 3: 3, 4: 4})


def test_a_metric_that_is_never_reported_is_named_with_the_nearest_one(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)

    def reports_another(trial):
        trial.report(1, {"scores": 0.5, "loss": 1.0})
        return "finished"

    work(backend, sweep_id, reports_another)
    (trial,) = backend.trials(sweep_id)
    assert trial.reason == "score was never reported, but loss, scores were; did you mean scores?"


# Which trials there are


@its_search
def test_early_termination_stops_what_is_worse_at_a_band_and_keeps_its_curve(backend, new_sweep):
    sweep_id = new_sweep(
        method="grid",
        parameters={"x": {"values": [3, 2, 1, 4]}},
        early_terminate={"type": "hyperband", "min_iter": 2},
    )
    work(backend, sweep_id)
    trials = backend.trials(sweep_id)
    assert [trial.state for trial in trials] == ["finished", "stopped", "stopped", "finished"]
    assert dict(trials[1].curve) == {1: 3, 2: 4}
    assert trials[1].reason == "early termination after epoch 2"
    assert count_rungs(trials, backend.rungs(sweep_id)) == [Rung(2, 4, 2)]
    assert best_trial(trials, "maximize").params["x"] == 4


@its_queue
def test_a_sweep_stopped_now_ends_running_trials_at_their_report_and_starts_none(
    backend, new_sweep
):
    sweep_id = new_sweep(run_cap=5)

    def stops_the_sweep(params, epoch):
        if epoch == 2:
            backend.stop(sweep_id, now=True)
        return float(epoch)

    summary = work(backend, sweep_id, scoring(stops_the_sweep))
    assert dict(summary.outcomes) == {0: "stopped"}
    assert backend.claim(sweep_id, "a2") is Idle.DONE
    (trial,) = backend.trials(sweep_id)
    assert (trial.epoch, trial.reason) == (2, SWEEP_STOPPED)


def test_a_stopped_sweep_begins_no_trial_and_finishes_those_that_were_begun(backend, new_sweep):
    sweep_id = new_sweep(run_cap=5)
    backend.claim(sweep_id, "preempted").release()

    def stops_the_sweep(params, epoch):
        backend.stop(sweep_id)
        return float(epoch)

    summary = work(backend, sweep_id, scoring(stops_the_sweep))
    assert list(summary.outcomes.values()) == ["finished"]
    assert backend.is_stopped(sweep_id)
    assert [(trial.state, trial.epoch) for trial in backend.trials(sweep_id)] == [
        ("finished", EPOCHS)
    ]


# What is seen of it meanwhile


@its_delay
def test_a_running_trial_tells_its_agent_since_when_and_its_last_sign_of_life(backend, new_sweep):
    sweep_id = new_sweep(run_cap=2)
    begun = time.time()
    held = backend.claim(sweep_id, "a1")
    held.report(1, 0.5)
    (agent,) = sweep_status(backend, sweep_id).agents
    assert (agent.name, agent.trial, agent.epoch, agent.lease_seconds) == ("a1", 0, 1, 30)
    assert begun <= agent.since <= agent.last_sign <= time.time()
    held.release()
    assert sweep_status(backend, sweep_id).agents == []


@its_search
def test_the_own_rule_has_rungs_where_it_is_known_how_long_a_trial_is(backend, new_sweep):
    spec = backend.spec(new_sweep(method="bayes"))
    assert backend.rungs(backend.create(spec)) == ()
    assert backend.rungs(backend.create(spec, max_epochs=20)) == (2, 4)


# How an agent leaves


def test_an_agent_that_is_told_to_end_releases_its_trial_after_the_epoch(backend, new_sweep):
    sweep_id = new_sweep(run_cap=2)

    def is_told_to_end(params, epoch):
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return float(epoch)

    summary = work(backend, sweep_id, scoring(is_told_to_end))
    assert (summary.status, list(summary.outcomes.values())) == ("preempted", ["preempted"])
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, dict(trial.curve)) == ("waiting", {1: 1.0, 2: 2.0})
    others = work(backend, sweep_id, agent="a2").outcomes
    assert trial.number in others
    assert list(others.values()) == ["finished", "finished"]


def test_an_agent_that_is_told_to_end_in_a_last_epoch_takes_no_other_trial(backend, new_sweep):
    sweep_id = new_sweep(run_cap=2)

    def is_told_to_end(trial):
        with catch_sigterm():  # a training that heeds SIGTERM, but has nothing left to do
            os.kill(os.getpid(), signal.SIGTERM)
            trial.report(1, {"score": 1.0})
            return "finished"

    summary = work(backend, sweep_id, is_told_to_end)
    assert (summary.status, list(summary.outcomes.values())) == ("preempted", ["finished"])


def test_an_agent_leaves_at_its_timeout_and_another_goes_on(backend, new_sweep):
    sweep_id = new_sweep(run_cap=1)

    def takes_a_while(trial):
        time.sleep(0.2)
        assert not trial.report(1, {"score": 1.0})
        return "stopped"

    summary = work(backend, sweep_id, takes_a_while, timeout=0.1)
    assert (summary.status, list(summary.outcomes.values())) == ("done", ["preempted"])
    assert backend.claim(sweep_id, "a2").epoch == 1


def test_an_agent_takes_no_more_trials_than_its_count(backend, new_sweep):
    sweep_id = new_sweep()
    assert len(work(backend, sweep_id, count=2).outcomes) == 2
    assert len(work(backend, sweep_id, count=1).outcomes) == 1
    assert [trial.state for trial in backend.trials(sweep_id)].count("finished") == 3


@pytest.mark.parametrize("method", ["random", "bayes"])
@its_search
def test_the_same_file_gives_the_same_trials(backend, new_sweep, method):
    sweeps = [new_sweep(method=method, run_cap=6) for _ in range(2)]
    for sweep_id in sweeps:
        work(backend, sweep_id)
    first, second = ([t.params for t in backend.trials(sweep_id)] for sweep_id in sweeps)
    assert first == second
    assert len({params["x"] for params in first}) == 6


@its_search
def test_values_of_mixed_types_reach_the_training_and_the_record_unchanged(backend, new_sweep):
    mixed = [True, 1, 1.0, None, "1", [1, 2], {"a": False}]
    sweep_id = new_sweep(
        method="bayes", run_cap=12, parameters={"x": {"value": 0.5}, "any": {"values": mixed}}
    )
    seen = []

    def note(params, epoch):
        seen.append(params["any"])
        return float(epoch)

    work(backend, sweep_id, scoring(note))
    kept = [trial.params["any"] for trial in backend.trials(sweep_id)]
    assert [repr(value) for value in kept] == [repr(value) for value in seen[::EPOCHS]]
    assert {repr(value) for value in kept} <= {repr(value) for value in mixed}


@its_search
def test_bayes_moves_towards_what_scored_well(backend, new_sweep):
    sweep_id = new_sweep(method="bayes", run_cap=20, parameters={"x": {"min": 0.0, "max": 1.0}})
    work(backend, sweep_id, scoring(lambda params, _: -abs(params["x"] - 0.8)))
    misses = [abs(trial.params["x"] - 0.8) for trial in backend.trials(sweep_id)]
    assert sum(misses[-8:]) < sum(misses[:6]) / 6 * 8 / 2


def test_a_sweep_that_is_not_there_is_an_error(backend):
    with pytest.raises(SweepError, match=r"there is no (such )?sweep"):
        backend.trials("nowhere")
