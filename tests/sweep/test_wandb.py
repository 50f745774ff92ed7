"""Sweeps at W&B: the installed client against a server that answers as W&B's does."""

from pathlib import Path
from typing import Any

import pytest

from detector.config.loading import load_config
from detector.errors import SweepError
from detector.steps.agent import HeldByChild
from detector.steps.run import Run
from detector.steps.sweep_init import init_sweep
from detector.sweep.agent import AgentEvent, AgentSummary, run_agent
from detector.sweep.backends.wandb import LACKS, WandbTrial, trial_number
from detector.sweep.capabilities import Capability
from detector.sweep.opening import open_backend
from detector.sweep.protocol import Backend, Idle, Sweep
from detector.sweep.status import sweep_status
from detector.sweep.trial import Objective, TrialEnd, TrialHandle
from detector.sweepfile.spec import read_sweep
from detector.tracking.opening import open_tracker
from tests.sweep.taking import take, x_of
from tests.sweep.wandb_server import WandbServer

SWEEP = """
method: random
metric: {name: score, goal: maximize}
run_cap: 3
parameters: {x: {min: 0.0, max: 1.0}}
"""
EPOCHS = 3

counts_itself = pytest.mark.instead(Capability.COUNTS)
searches_itself = pytest.mark.instead(Capability.SEARCHES)
requeues_no_dead = pytest.mark.instead(Capability.REQUEUES)
answers_later = pytest.mark.instead(Capability.ANSWERS_AT_ONCE)


@pytest.fixture
def server(wandb_service: WandbServer, wandb_url: str) -> WandbServer:
    return wandb_service


@pytest.fixture
def backend(wandb_url: str) -> Backend:
    backend = open_backend(wandb_url)
    backend.poll_seconds = 0.1
    return backend


@pytest.fixture
def sweep(backend: Backend) -> Sweep:
    return backend.create(read_sweep(SWEEP, "test"))


def train(trial: TrialHandle) -> TrialEnd:
    for epoch in range(1, EPOCHS + 1):
        if not trial.report(epoch, {"score": epoch + x_of(trial.params)}):
            return "stopped"
    return "finished"


def work(sweep: Sweep, objective: Objective = train, **options: Any) -> AgentSummary:
    return run_agent(sweep, objective, agent="a1", on_event=lambda _: None, **options)


def test_a_sweep_is_created_from_its_file_and_read_back(
    backend: Backend, sweep: Sweep, server: WandbServer
) -> None:
    assert server.sweeps[sweep.id].config["parameters"]["x"]["max"] == 1.0
    spec = backend.open(sweep.id).spec
    assert (spec.method, spec.metric.name, spec.run_cap) == ("random", "score", 3)
    assert list(spec.parameters) == ["x"]


@searches_itself
def test_an_agent_runs_what_wandb_hands_out_until_it_says_to_exit(
    sweep: Sweep, server: WandbServer
) -> None:
    summary = work(sweep)
    trials = sweep.trials()
    assert summary.status == "done"
    assert [trial.state for trial in trials] == ["finished"] * 3
    assert {trial.number for trial in trials} == set(summary.outcomes)
    for trial in trials:
        assert trial.curve == {epoch: epoch + x_of(trial.params) for epoch in range(1, EPOCHS + 1)}
    assert {run.params["x"] for run in server.sweeps[sweep.id].runs} == {
        trial.params["x"] for trial in trials
    }
    best = sweep.best()
    assert best is not None
    assert x_of(best.params) == max(x_of(trial.params) for trial in trials)


def test_a_preempted_trial_is_handed_out_again_with_its_curve(
    sweep: Sweep, server: WandbServer
) -> None:
    def interrupted(trial: TrialHandle) -> TrialEnd:
        trial.report(1, {"score": 0.5})
        return "preempted"

    assert work(sweep, interrupted).status == "preempted"
    assert server.sweeps[sweep.id].runs[0].state == "preempted"
    (released,) = sweep.trials()
    assert released.state == "waiting"

    again = take(sweep, "a2")
    assert (again.number, again.params, again.epoch) == (released.number, released.params, 1)
    assert again.report(1, 0.5)  # a resumed training repeats what it had reported before
    assert again.report(2, 0.75)
    assert again.finish()
    (trial,) = sweep.trials()
    assert (trial.state, dict(trial.curve)) == ("finished", {1: 0.5, 2: 0.75})
    assert [row["epoch"] for row in server.sweeps[sweep.id].runs[0].history] == [1, 2]


@searches_itself
def test_a_run_that_wandb_stops_ends_at_its_next_report(sweep: Sweep, server: WandbServer) -> None:
    trial = take(sweep, "a1")
    assert trial.report(1, 0.5)
    server.sweeps[sweep.id].runs[0].should_stop = True
    assert isinstance(trial, WandbTrial)
    assert trial._is_to_stop.wait(10)
    assert not trial.report(2, 0.4)
    trial.stop()
    (record,) = sweep.trials()
    assert (record.state, dict(record.curve)) == ("stopped", {1: 0.5, 2: 0.4})


def test_a_sweep_may_be_stopped_again_and_again_but_not_cancelled_once_it_has_ended(
    backend: Backend, sweep: Sweep, server: WandbServer
) -> None:
    sweep.stop()
    sweep.stop()
    with pytest.raises(SweepError, match="W&B cancels no sweep that has ended"):
        sweep.stop(now=True)
    another = backend.create(read_sweep(SWEEP, "test"))
    another.stop(now=True)
    another.stop(now=True)
    assert another.is_stopped()


def test_a_run_tells_of_its_agent_and_its_times(sweep: Sweep, server: WandbServer) -> None:
    held = take(sweep, "a1")
    held.report(1, 0.5)
    held.retry("CUDA error")
    again = take(sweep, "a2")
    again.report(2, 0.75)
    again.finish()
    (trial,) = sweep.trials()
    assert (trial.agent, trial.reason, trial.attempts) == ("a2", "CUDA error", 2)
    assert trial.started is not None and trial.ended is not None
    assert trial.started < trial.ended


def test_a_tracked_training_is_logged_into_its_trials_run(
    sweep: Sweep, server: WandbServer, tmp_path: Path
) -> None:
    config = load_config(["tracker=wandb"])
    for epochs in (1, 3):
        held = take(sweep, "a1")
        with open_tracker(config, tmp_path, "trial", "sweep") as tracker:
            for epoch in range(1, epochs + 1):
                tracker.epoch(epoch, {"train/loss": 1 / epoch})
                held.report(epoch, epoch / 10)
            tracker.end("preempted")
        held.release()
    (run,) = server.sweeps[sweep.id].runs
    assert [(row["epoch"], row["score"]) for row in run.history] == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert [row["train/loss"] for row in run.history] == [1, 1 / 2, 1 / 3]
    assert server.runs == {}
    assert '"side":1280' in run.config


def test_a_stopped_sweep_begins_no_trial(sweep: Sweep, server: WandbServer) -> None:
    held = take(sweep, "a1")
    sweep.stop()
    assert sweep.is_stopped()
    assert sweep.claim("a2") is Idle.UNSURE
    held.report(1, 0.5)
    held.finish()
    assert sweep.claim("a2") is Idle.DONE


@pytest.mark.parametrize("address", ["wandb://team", "wandb:///receipts", "wandb://a/b/c"])
def test_a_url_names_an_entity_and_a_project(address: str) -> None:
    with pytest.raises(SweepError, match="not complete"):
        open_backend(address)


@searches_itself
def test_wandb_alone_stops_the_trials_of_its_sweeps(backend: Backend) -> None:
    with pytest.raises(SweepError, match="not possible here: W&B's server draws"):
        backend.create(read_sweep(SWEEP, "test"), stopping="adaptive")
    with pytest.raises(SweepError, match="not possible here: W&B's server draws"):
        backend.create(read_sweep(SWEEP + "\ndetsweep: {stopping: adaptive}\n", "test"))


@counts_itself
def test_a_trials_number_is_made_of_its_runs_name_and_the_same_for_everyone(
    backend: Backend, sweep: Sweep, server: WandbServer
) -> None:
    held = take(sweep, "a1")
    (run,) = server.sweeps[sweep.id].runs
    assert held.number == trial_number(run.name)
    held.report(1, 0.5)
    held.finish()
    (trial,) = backend.open(sweep.id).trials()
    assert trial.number == held.number


@requeues_no_dead
def test_the_run_of_an_agent_that_died_has_crashed_and_another_one_is_begun(
    sweep: Sweep, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    held = take(sweep, "a1")
    held.report(1, 0.5)
    assert isinstance(held, WandbTrial)
    held._has_ended.set()  # its heartbeats end with its process
    child = HeldByChild(sweep)
    child.hear(AgentEvent("a1", "started", "", held.number, held.attempt))
    child.release(was_asked=False)
    assert LACKS[Capability.REQUEUES] in capsys.readouterr().out
    assert not sweep.requeue(held.number, held.attempt, died=True)
    server.sweeps[sweep.id].runs[0].state = "crashed"  # as W&B says after five minutes
    next_one = take(sweep, "a2")
    assert next_one.number != held.number
    # The client of this process, which lives on, has said goodbye for it.
    server.sweeps[sweep.id].runs[0].state = "crashed"
    next_one.release()
    crashed = next(trial for trial in sweep.trials() if trial.number == held.number)
    assert (crashed.state, crashed.reason) == ("failed", "W&B: crashed")


@answers_later
def test_what_a_trial_reported_is_there_when_it_has_ended_and_the_status_says_so(
    sweep: Sweep, server: WandbServer
) -> None:
    held = take(sweep, "a1")
    held.report(1, 0.5)
    assert sweep_status(sweep).note == LACKS[Capability.ANSWERS_AT_ONCE]
    held.release()
    assert dict(sweep.trials()[0].curve) == {1: 0.5}


@answers_later
def test_a_trial_of_a_cancelled_sweep_ends_at_the_report_after_its_agent_has_heard_of_it(
    sweep: Sweep, server: WandbServer
) -> None:
    held = take(sweep, "a1")
    assert held.report(1, 0.5)
    sweep.stop(now=True)
    assert isinstance(held, WandbTrial)
    assert held._is_to_stop.wait(10)
    assert not held.report(2, 0.5)
    held.stop()


def test_whatever_wandb_lacks_is_tested_by_what_it_does_instead() -> None:
    tests = [test for name, test in globals().items() if name.startswith("test_")]
    marks = [mark for test in tests for mark in getattr(test, "pytestmark", [])]
    assert {mark.args[0] for mark in marks if mark.name == "instead"} == set(LACKS)


def test_the_docs_say_what_is_kept_and_what_wandb_does_instead() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "sweep-backends.md").read_text(encoding="utf-8")
    for capability, instead in LACKS.items():
        assert f"| {capability.value} | {instead} |" in docs


def test_who_creates_a_sweep_at_wandb_is_shown_what_it_does_instead(
    wandb_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = SWEEP.replace("score", "val/hmean").replace("{x:", "{models.optimizer.lr:")
    init_sweep(Run(str(tmp_path)), wandb_url, file.replace("min: 0.0", "min: 0.0001"))
    said = capsys.readouterr().out
    assert all(f"note: {instead}" in said for instead in LACKS.values())
