"""Agents that are paused for longer than their lease, and wake up: what they still write spoils
nothing for those that took their trials over."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detector.steps.run import Run
from detector.sweep.opening import open_backend
from detector.sweep.protocol import Sweep
from detector.sweepfile.spec import read_sweep
from tests.steps.pausable_agent import EPOCHS, ORIGIN, epoch_of

ROUNDS = int(os.environ.get("DETSWEEP_FAULT_ROUNDS", "1"))
SEED = int(os.environ.get("DETSWEEP_FAULT_SEED", "0"))
LEASE_S = 0.6
TRIALS = 4


def run_with_pauses(store: str, backend: str, sweep: Sweep, output: Path, seed: int) -> None:
    """Two agents, each paused again and again in the middle of a trial, until the sweep is done."""
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGSTOP")
    draw = random.Random(seed)
    agents = {}
    with output.open("wb") as file:
        for name in "ab":
            words = [store, backend, sweep.id, name, str(LEASE_S)]
            agents[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.steps.pausable_agent", *words],
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        until = time.monotonic() + 120
        while any(agent.poll() is None for agent in agents.values()):
            assert time.monotonic() < until, output.read_text("utf-8")
            at_work = [t.agent for t in sweep.trials() if t.state == "running" and t.agent]
            if not at_work:
                time.sleep(0.05)
                continue
            agent = agents[draw.choice(at_work)]
            time.sleep(draw.uniform(0, 0.2))
            agent.send_signal(signal.SIGSTOP)
            time.sleep(LEASE_S * draw.uniform(1.5, 3))
            agent.send_signal(signal.SIGCONT)
    assert [agent.returncode for agent in agents.values()] == [0, 0], output.read_text("utf-8")


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_no_result_is_a_mixture_of_two_attempts(
    place: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    spec = read_sweep(
        f"method: random\nrun_cap: {TRIALS}\nmetric: {{name: score, goal: maximize}}\n"
        "parameters: {x: {min: 0, max: 1}}\n",
        "sweep.yaml",
    )
    takeovers = 0
    for number in range(ROUNDS):
        store = str(tmp_path / str(number))
        if place == "s3":
            store = f"{request.getfixturevalue('s3_bucket')}/{tmp_path.name}-{number}"
        backend = f"sqlite:///{tmp_path}/{number}.db"
        sweep = open_backend(backend, LEASE_S, 60).create(spec)
        run_with_pauses(store, backend, sweep, tmp_path / "output", SEED + number)
        for trial in sweep.trials():
            training = Run(store, sweep.id).trial(trial.number)
            assert (trial.state, trial.epoch) == ("finished", EPOCHS)
            with training.attempt(ORIGIN) as folder:
                assert epoch_of(folder.path) == EPOCHS
            takeovers += trial.attempts - 1
    assert takeovers > 0
