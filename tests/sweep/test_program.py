import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from detector.errors import TrainingError
from detector.process_group import with_descendants
from detector.sweep import program
from detector.sweep.opening import open_backend
from detector.sweep.program import program_objective
from detector.sweep.reporting import read_history
from detector.sweep.trial import TrialHandle
from detector.sweepfile.spec import read_sweep

SWEEP = """\
method: random
program: {program}
metric: {{name: val/loss, goal: minimize}}
run_cap: 2
parameters:
  lr: {{min: 0.1, max: 0.2}}
  net: {{parameters: {{width: {{value: 32}}}}}}
"""
PARAMS = {"lr": 0.15, "net.width": 32}


AGENT = """\
import sys
from contextlib import contextmanager
from pathlib import Path
from detector.sweep.agent import run_agent
from detector.sweep.opening import open_backend
from detector.sweep.program import program_objective
from detector.sweepfile.spec import read_sweep

@contextmanager
def folder(_):
    yield Path(sys.argv[1])

sweep = open_backend(f"sqlite:///{sys.argv[1]}/sweep.db").create(read_sweep(sys.argv[2], "s"))
run_agent(sweep, program_objective(sweep, folder), agent="a")
"""


class Trial:
    """A trial whose reports are kept; it is to stop after epoch `last`."""

    number = 3
    params = PARAMS

    def __init__(
        self, last: int | None = None, on_report: Callable[..., Any] = lambda: None
    ) -> None:
        self.reports: list[tuple[int, dict[str, float]]] = []
        self.last, self.on_report = last, on_report

    def report(self, epoch: int, metrics: dict[str, float]) -> bool:
        self.reports.append((epoch, dict(metrics)))
        self.on_report()
        return epoch != self.last


@pytest.fixture
def objective(tmp_path: Path) -> Callable[..., Any]:
    """Makes the objective of a program, whose trials keep their files in `tmp_path / 'trial'`."""

    @contextmanager
    def folder(_: TrialHandle) -> Iterator[Path]:
        path = tmp_path / "trial"
        path.mkdir(exist_ok=True)
        yield path

    def make(source: str) -> Callable[..., Any]:
        program = tmp_path / "train.py"
        program.write_text(source, encoding="utf-8")
        spec = read_sweep(SWEEP.format(program=program), "sweep.yaml")
        sweep = open_backend(f"journal:///{tmp_path}/sweeps").create(spec)
        return program_objective(sweep, folder, kill_delay_s=5)

    return make


LOGS_TWO_EPOCHS = """
import sys
from detector.sweep import log
print(sys.argv[1:])
for epoch in range(2):
    log({"val/loss": 1 / (epoch + 1)})
"""
RUNS_FOR_EVER = """
import itertools, signal, sys, time
from pathlib import Path
from detector.sweep import log
def save(*_):
    Path(__file__).with_name("saved").touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
for epoch in itertools.count(1):
    log({"val/loss": 0.5})
    time.sleep(0.05)
"""


def test_a_program_gets_its_parameters_and_its_epochs_are_reported(
    objective: Callable[..., Any], tmp_path: Path
) -> None:
    trial = Trial()
    assert objective(LOGS_TWO_EPOCHS)(trial) == "finished"
    assert trial.reports == [(1, {"val/loss": 1.0}), (2, {"val/loss": 0.5})]
    printed = (tmp_path / "trial" / "output.log").read_text(encoding="utf-8")
    assert printed == "['--lr=0.15', \"--net={'width': 32}\"]\n"


def test_a_trial_that_is_to_stop_ends_its_program_with_sigterm(
    objective: Callable[..., Any], tmp_path: Path
) -> None:
    assert objective(RUNS_FOR_EVER)(Trial(last=2)) == "stopped"
    assert (tmp_path / "saved").exists()


def test_sigterm_to_the_agent_reaches_the_program_and_preempts_the_trial(
    objective: Callable[..., Any], tmp_path: Path
) -> None:
    def terminate() -> None:
        threading.Timer(0, os.kill, (os.getpid(), signal.SIGTERM)).start()

    assert objective(RUNS_FOR_EVER)(Trial(on_report=terminate)) == "preempted"
    assert (tmp_path / "saved").exists()


def test_a_program_that_fails_is_an_error_with_the_last_that_it_printed(
    objective: Callable[..., Any],
) -> None:
    with pytest.raises(TrainingError, match=r"exit code 1; .*ValueError: no data"):
        objective("raise ValueError('no data')")(Trial())


def test_a_program_that_is_killed_is_an_error(objective: Callable[..., Any]) -> None:
    with pytest.raises(TrainingError, match="ended by signal 9"):
        objective("import os; os.kill(os.getpid(), 9)")(Trial())


def test_what_a_program_started_ends_with_it(objective: Callable[..., Any], tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("it looks through a pipe that has a name; see test_process_group.py")
    pipe = tmp_path / "held_open"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    source = f"import subprocess; subprocess.Popen(['sleep', '600'], stdout=open('{pipe}', 'w'))"
    assert objective(source)(Trial()) == "finished"
    assert os.read(reading, 1) == b"", "nobody holds the pipe open any more"
    os.close(reading)


LOGS_TO_WANDB = """
import itertools, time, wandb
run = wandb.init(project="any")
assert run.config["lr"] == 0.15 and run.config["net"] == {"width": 32}
for step in itertools.count():
    wandb.log({"train": {"loss": 2.0}})
    wandb.log({"val/loss": 1 / (step + 1), "picture": wandb.Histogram([1, 2])})
    time.sleep(0.05)
"""


STARTS_ANOTHER = """
import os, subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open({pids!r}, "w") as file:
    file.write(f"{{os.getpid()}} {{other.pid}}\\n")
time.sleep(600)
"""


def test_a_program_dies_with_its_agent_and_so_does_what_it_started(tmp_path: Path) -> None:
    """By SIGKILL, which no agent hears."""
    pids = tmp_path / "pids"
    program = tmp_path / "train.py"
    program.write_text(STARTS_ANOTHER.format(pids=str(pids)), encoding="utf-8")
    spec = SWEEP.format(program=program)
    agent = subprocess.Popen([sys.executable, "-c", AGENT, str(tmp_path), spec])
    while not (pids.exists() and pids.read_text("utf-8").endswith("\n")):
        assert agent.poll() is None
        time.sleep(0.05)
    started = with_descendants(agent.pid) - {psutil.Process(agent.pid)}
    assert {process.pid for process in started} > set(map(int, pids.read_text("utf-8").split()))
    agent.kill()
    agent.wait()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_every_metric_of_every_attempt_is_kept_beside_the_trial(
    objective: Callable[..., Any], tmp_path: Path
) -> None:
    for epoch in (1, 2):
        logged = f"{{'val/loss': 1 / {epoch}, 'acc': 0.5}}, epoch={epoch}"
        objective(f"from detector.sweep import log; log({logged})")(Trial())
    history = read_history((tmp_path / "trial" / "metrics.jsonl").read_text(encoding="utf-8"))
    assert history == {1: {"val/loss": 1, "acc": 0.5}, 2: {"val/loss": 0.5, "acc": 0.5}}


def test_what_a_killed_attempt_wrote_halfway_is_left_out(
    objective: Callable[..., Any], tmp_path: Path
) -> None:
    kept = tmp_path / "trial" / "metrics.jsonl"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text('{"val/loss": 1.0, "epoch": 1}\n{"val/lo', encoding="utf-8")
    objective("from detector.sweep import log; log({'val/loss': 0.5}, epoch=2)")(Trial())
    history = read_history(kept.read_text(encoding="utf-8"))
    assert history == {1: {"val/loss": 1}, 2: {"val/loss": 0.5}}


def test_many_epochs_are_written_behind_each_other(
    objective: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written whole each time, a hundred thousand of them would be ten thousand million lines."""
    written = []
    monkeypatch.setattr(program, "write_atomically", lambda path, _: written.append(path))
    trial = Trial()
    logs = "import json, os; f = open(os.environ['DETSWEEP_METRICS'], 'a')\n"
    logs += "for i in range(20_000): f.write(json.dumps({'metrics': {'val/loss': i}}) + chr(10))"
    objective(logs)(trial)
    assert [epoch for epoch, _ in trial.reports] == list(range(1, 20_001))
    history = read_history((tmp_path / "trial" / "metrics.jsonl").read_text(encoding="utf-8"))
    assert [row["val/loss"] for row in history.values()] == list(range(20_000))
    assert not written


def test_a_program_that_logs_to_wandb_is_followed_while_it_runs(
    objective: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    trial = Trial(last=3)
    assert objective(LOGS_TO_WANDB)(trial) == "stopped"
    assert [epoch for epoch, _ in trial.reports] == [1, 2, 3]
    assert [metrics["val/loss"] for _, metrics in trial.reports] == [1, 1 / 2, 1 / 3]
