"""What the leader of a Job's pods does while its agents train; the whole Job is in tests/k8s."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from detector.errors import ConfigError, SweepError
from detector.steps import job
from detector.steps.job import Job
from detector.sweep.opening import SweepAddress
from detector.sweep.protocol import Idle, Sweep
from tests.sweep.taking import take

PROGRAM = """
import sys
from detector.sweep import log
if {broken}:
    sys.exit("no such device")
log({{"loss": 1.0}})
"""
SWEEP = """\
method: grid
program: {program}
metric: {{name: loss, goal: minimize}}
parameters:
  width: {{values: [6, 5, 4, 3, 2, 1]}}
"""


@pytest.fixture(autouse=True)
def _polling_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_POLL_S", 0.05)


class Aside:
    """Runs a function beside the test. A test that fails does not wait for it to end."""

    def submit(self, function: Callable[..., None], *arguments: object) -> Future[None]:
        future: Future[None] = Future()

        def run() -> None:
            future.set_running_or_notify_cancel()
            try:
                function(*arguments)
            except BaseException as error:  # whatever it is, `result` raises it in the test
                future.set_exception(error)
            else:
                future.set_result(None)

        threading.Thread(target=run, daemon=True).start()
        return future


@pytest.fixture
def aside() -> Aside:
    return Aside()


def a_run(folder: Path, *, broken: bool = False) -> tuple[Job, SweepAddress, Sweep]:
    """The leader of a sweep of six short trials, and the sweep."""
    program, file = folder / "train.py", folder / "sweep.yaml"
    program.write_text(PROGRAM.format(broken=broken), encoding="utf-8")
    file.write_text(SWEEP.format(program=program), encoding="utf-8")
    leader = Job(0, "", str(folder / "run"), f"sqlite:///{folder}/sweeps.db", ())
    address = leader.create_sweep(file)
    return leader, address, address.open()


def wait_until(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def ended(sweep: Sweep) -> int:
    states = [trial.state for trial in sweep.trials()]
    return sum(state in {"finished", "failed"} for state in states)


def still_waits(leading: Future[None]) -> bool:
    """Whether it does so for some rounds more."""
    time.sleep(1)
    return leading.running()


def test_the_leader_waits_for_a_trial_that_another_agent_trains(
    tmp_path: Path, aside: Aside
) -> None:
    leader, address, sweep = a_run(tmp_path)
    other = take(sweep, "agent-1")
    leading = aside.submit(leader.see_trials_through, address)
    wait_until(lambda: ended(sweep) == 5)
    assert still_waits(leading)
    other.report(1, 1.0)
    other.finish()
    leading.result(60)
    assert ended(sweep) == 6


def test_the_leader_trains_what_another_agent_has_left(tmp_path: Path, aside: Aside) -> None:
    leader, address, sweep = a_run(tmp_path)
    other = take(sweep, "agent-1")
    leading = aside.submit(leader.see_trials_through, address)
    wait_until(lambda: ended(sweep) == 5)
    other.release()
    leading.result(60)
    assert {trial.agent for trial in sweep.trials()} == {"agent-0"}


def test_a_leader_that_gave_up_waits_for_others_and_fails_when_nobody_is_left(
    tmp_path: Path, aside: Aside
) -> None:
    leader, address, sweep = a_run(tmp_path, broken=True)
    other = take(sweep, "agent-1")
    leading = aside.submit(leader.see_trials_through, address)
    wait_until(lambda: sum(t.attempts > 0 for t in sweep.trials()) > 3)
    assert still_waits(leading)
    other.release()
    with pytest.raises(SweepError, match="agent-0 failed 3 trials in a row"):
        leading.result(60)


def test_a_leader_that_gave_up_goes_on_when_others_have_trained_everything(
    tmp_path: Path, aside: Aside
) -> None:
    leader, address, sweep = a_run(tmp_path, broken=True)
    held = [take(sweep, f"agent-{index}") for index in range(1, 4)]
    leading = aside.submit(leader.see_trials_through, address)
    wait_until(lambda: len(sweep.trials()) == 6)
    assert still_waits(leading)
    sweep.stop()
    for trial in held[1:]:
        trial.report(1, 1.0)
        trial.finish()
    while not isinstance(claim := sweep.claim("agent-1"), Idle):
        claim.report(1, 1.0)
        claim.finish()
    held[0].report(1, 1.0)
    held[0].finish()
    leading.result(60)


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="'DETSWEEP_DATA' is not set"):
        Job.of_environment({"JOB_COMPLETION_INDEX": "0"})


@pytest.mark.parametrize("index", ["0", "1"])
def test_settings_that_no_try_would_take_fail_the_run_by_its_leader(index: str) -> None:
    given = {"JOB_COMPLETION_INDEX": index, "DETSWEEP_OVERRIDES": "a='b"}
    given |= {f"DETSWEEP_{name}": "x" for name in ("DATA", "STORE", "BACKEND")}
    ended = subprocess.run(
        [sys.executable, "-m", "detector.steps.job", "sweep.yaml"],
        env={**os.environ, **given},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ended.returncode == (job.RUN_FAILED if index == "0" else 2)
    assert "DETSWEEP_OVERRIDES" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_overrides_are_split_as_a_shell_splits_them() -> None:
    names = ("DATA", "STORE", "BACKEND")
    given = {f"DETSWEEP_{name}": name for name in names} | {
        "JOB_COMPLETION_INDEX": "2",
        "DETSWEEP_OVERRIDES": "preset=quickstart 'data.note=two words'",
    }
    assert Job.of_environment(given).overrides == ("preset=quickstart", "data.note=two words")
