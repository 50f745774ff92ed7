from pathlib import Path

import pytest

from detector.sweep.agent import AgentEvent, run_agent
from detector.sweep.opening import open_backend
from detector.sweep.protocol import Backend
from detector.sweep.trial import TrialEnd, TrialHandle
from detector.sweepfile.spec import read_sweep

SWEEP = """
method: grid
metric: {name: val/hmean, goal: maximize}
parameters: {trainer.max_epochs: {value: 2}, models.optimizer.lr: {values: [0.0003]}}
"""


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return open_backend(f"journal:///{tmp_path}/sweeps.log", lease_seconds=30)


def test_every_line_of_the_log_says_which_agent_and_which_trial(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(trial: TrialHandle) -> TrialEnd:
        for epoch in (1, 2):
            trial.report(epoch, {"val/hmean": 0.93123 if epoch == 1 else float("nan")})
        return "finished"

    run_agent(backend.create(read_sweep(SWEEP, "f")), train, agent="a1")
    assert capsys.readouterr().out.splitlines() == [
        "agent a1 · trial 0 · started trainer.max_epochs=2 models.optimizer.lr=0.0003",
        "agent a1 · trial 0 · epoch 1/2 · val/hmean 0.9312",
        "agent a1 · trial 0 · epoch 2/2 · val/hmean nan",
        "agent a1 · trial 0 · finished after epoch 2 · last val/hmean 0.9312",
    ]


def test_a_resumed_trial_and_a_failed_one_say_so(backend: Backend) -> None:
    events: list[AgentEvent] = []
    sweep = backend.create(read_sweep(SWEEP, "f"))

    def fails(trial: TrialHandle) -> TrialEnd:
        if events[0].kind == "resumed":
            trial.report(2, {"val/hmean": 0.6})
            raise RuntimeError("no memory")
        trial.report(1, {"val/hmean": 0.5})
        return "preempted"

    run_agent(sweep, fails, agent="a1", on_event=events.append)
    events.clear()
    run_agent(sweep, fails, agent="a2", on_event=events.append, retries=0)
    assert [str(event) for event in events] == [
        "agent a2 · trial 0 · resumed after epoch 1",
        "agent a2 · trial 0 · epoch 2/2 · val/hmean 0.6000",
        "agent a2 · trial 0 · failed: RuntimeError: no memory",
    ]
