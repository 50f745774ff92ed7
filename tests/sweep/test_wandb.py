"""Sweeps at W&B: the installed client against a server that answers as W&B's does."""

import pytest

from detector.errors import SweepError
from detector.sweep.agent import run_agent
from detector.sweep.backends import Idle, open_backend
from detector.sweep.best import best_trial
from detector.sweep.spec import read_sweep
from tests.sweep.wandb_server import wandb_environment

SWEEP = """
method: random
metric: {name: score, goal: maximize}
run_cap: 3
parameters: {x: {min: 0.0, max: 1.0}}
"""
EPOCHS = 3


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with wandb_environment(tmp_path_factory.mktemp("wandb")) as server:
        yield server
        import wandb

        wandb.teardown()


@pytest.fixture
def server(environment):
    environment.calls.clear()
    return environment


@pytest.fixture
def backend(server):
    backend = open_backend("wandb://team/receipts")
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


def test_a_failed_trial_is_tried_again_and_then_has_failed_with_its_reason(
    backend, sweep_id, server
):
    epochs = iter((1, 2))

    def fails(trial):
        trial.report(next(epochs), {"score": 0.1})
        raise RuntimeError("CUDA error")

    work(backend, sweep_id, fails, count=1)
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, trial.reason) == ("waiting", "RuntimeError: CUDA error")
    work(backend, sweep_id, fails, count=1)
    (trial,) = backend.trials(sweep_id)
    assert (trial.state, trial.attempts) == ("failed", 2)


def test_a_stopped_sweep_begins_no_trial(backend, sweep_id, server):
    held = backend.claim(sweep_id, "a1")
    backend.stop(sweep_id)
    assert backend.is_stopped(sweep_id)
    assert backend.claim(sweep_id, "a2") is Idle.UNSURE
    held.report(1, 0.5)
    held.finish()
    assert backend.claim(sweep_id, "a2") is Idle.DONE


def test_a_sweep_that_is_not_there_is_an_error(backend):
    with pytest.raises(SweepError, match="there is no such sweep"):
        backend.trials("nowhere")


@pytest.mark.parametrize("url", ["wandb://team", "wandb:///receipts", "wandb://a/b/c"])
def test_a_url_names_an_entity_and_a_project(url):
    with pytest.raises(SweepError, match="not complete"):
        open_backend(url)


def test_wandb_alone_stops_the_trials_of_its_sweeps(backend):
    with pytest.raises(SweepError, match="W&B's server alone"):
        backend.create(read_sweep(SWEEP, "test"), stopping="adaptive")
