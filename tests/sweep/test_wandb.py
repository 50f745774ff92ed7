"""Sweeps at W&B: the installed client against a server that answers as W&B's does."""

import pytest

from detector.config import load_config
from detector.errors import SweepError
from detector.sweep.agent import run_agent
from detector.sweep.backends import Idle, open_backend
from detector.sweep.best import best_trial
from detector.sweepfile.spec import read_sweep
from detector.tracking.tracker import open_tracker

SWEEP = """
method: random
metric: {name: score, goal: maximize}
run_cap: 3
parameters: {x: {min: 0.0, max: 1.0}}
"""
EPOCHS = 3


@pytest.fixture
def server(wandb_service, wandb_url):
    return wandb_service


@pytest.fixture
def backend(wandb_url):
    backend = open_backend(wandb_url)
    backend.poll_seconds = 0.1
    return backend


@pytest.fixture
def sweep_id(backend):
    return backend.create(read_sweep(SWEEP, "test"))


def train(trial):
    for epoch in range(1, EPOCHS + 1):
        if not trial.report(epoch, {"score": epoch + trial.params["x"]}):
            return "stopped"
    return "finished"


def work(backend, sweep_id, objective=train, **options):
    return run_agent(backend, sweep_id, objective, agent="a1", on_event=lambda _: None, **options)


def test_a_sweep_is_created_from_its_file_and_read_back(backend, sweep_id, server):
    assert server.sweeps[sweep_id].config["parameters"]["x"]["max"] == 1.0
    spec = backend.spec(sweep_id)
    assert (spec.method, spec.metric.name, spec.run_cap) == ("random", "score", 3)
    assert list(spec.parameters) == ["x"]


def test_an_agent_runs_what_wandb_hands_out_until_it_says_to_exit(backend, sweep_id, server):
    summary = work(backend, sweep_id)
    trials = backend.trials(sweep_id)
    assert summary.status == "done"
    assert [trial.state for trial in trials] == ["finished"] * 3
    assert {trial.number for trial in trials} == set(summary.outcomes)
    for trial in trials:
        assert trial.curve == {epoch: epoch + trial.params["x"] for epoch in range(1, EPOCHS + 1)}
    assert {run.params["x"] for run in server.sweeps[sweep_id].runs} == {
        trial.params["x"] for trial in trials
    }
    assert best_trial(trials, "maximize").params["x"] == max(t.params["x"] for t in trials)


def test_a_preempted_trial_is_handed_out_again_with_its_curve(backend, sweep_id, server):
    def interrupted(trial):
        trial.report(1, {"score": 0.5})
        return "preempted"

    assert work(backend, sweep_id, interrupted).status == "preempted"
    assert server.sweeps[sweep_id].runs[0].state == "preempted"
    (released,) = backend.trials(sweep_id)
    assert released.state == "waiting"

    again = backend.claim(sweep_id, "a2")
    assert (again.number, again.params, again.epoch) == (released.number, released.params, 1)
    assert again.report(1, 0.5)  # a resumed training repeats what it had told before
    assert again.report(2, 0.75)
    assert again.finish()
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, dict(trial.curve)) == ("finished", {1: 0.5, 2: 0.75})
    assert [row["epoch"] for row in server.sweeps[sweep_id].runs[0].history] == [1, 2]


def test_a_run_that_wandb_stops_ends_at_its_next_report(backend, sweep_id, server):
    trial = backend.claim(sweep_id, "a1")
    assert trial.report(1, 0.5)
    server.sweeps[sweep_id].runs[0].should_stop = True
    assert trial._told_to_stop.wait(10)
    assert not trial.report(2, 0.4)
    trial.stop()
    (record,) = backend.trials(sweep_id)
    assert (record.state, dict(record.curve)) == ("stopped", {1: 0.5, 2: 0.4})


def test_a_sweep_may_be_stopped_again_and_again_but_not_cancelled_once_it_has_ended(
    backend, sweep_id, server
):
    backend.stop(sweep_id)
    backend.stop(sweep_id)
    with pytest.raises(SweepError, match="W&B cancels no sweep that has ended"):
        backend.stop(sweep_id, now=True)
    another = backend.create(read_sweep(SWEEP, "test"))
    backend.stop(another, now=True)
    backend.stop(another, now=True)
    assert backend.is_stopped(another)


def test_a_run_tells_of_its_agent_and_its_times(backend, sweep_id, server):
    held = backend.claim(sweep_id, "a1")
    held.report(1, 0.5)
    held.fail("CUDA error", retry=True)
    again = backend.claim(sweep_id, "a2")
    again.report(2, 0.75)
    again.finish()
    (trial,) = backend.trials(sweep_id)
    assert (trial.agent, trial.reason, trial.attempts) == ("a2", "CUDA error", 2)
    assert trial.started < trial.ended


def test_a_tracked_training_is_logged_into_its_trials_run(backend, sweep_id, server, tmp_path):
    config = load_config(["tracker=wandb"])
    for epochs in (1, 3):
        held = backend.claim(sweep_id, "a1")
        with open_tracker(config, tmp_path, "trial", "sweep") as tracker:
            for epoch in range(1, epochs + 1):
                tracker.epoch(epoch, {"train/loss": 1 / epoch})
                held.report(epoch, epoch / 10)
            tracker.end("preempted")
        held.release()
    (run,) = server.sweeps[sweep_id].runs
    assert [(row["epoch"], row["score"]) for row in run.history] == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert [row["train/loss"] for row in run.history] == [1, 1 / 2, 1 / 3]
    assert server.runs == {}
    assert '"side":1280' in run.config


def test_a_stopped_sweep_begins_no_trial(backend, sweep_id, server):
    held = backend.claim(sweep_id, "a1")
    backend.stop(sweep_id)
    assert backend.is_stopped(sweep_id)
    assert backend.claim(sweep_id, "a2") is Idle.UNSURE
    held.report(1, 0.5)
    held.finish()
    assert backend.claim(sweep_id, "a2") is Idle.DONE


@pytest.mark.parametrize("address", ["wandb://team", "wandb:///receipts", "wandb://a/b/c"])
def test_a_url_names_an_entity_and_a_project(address):
    with pytest.raises(SweepError, match="not complete"):
        open_backend(address)


def test_wandb_alone_stops_the_trials_of_its_sweeps(backend):
    with pytest.raises(SweepError, match="W&B's server alone"):
        backend.create(read_sweep(SWEEP, "test"), stopping="adaptive")
