"""Agents, databases and disks that fail at random moments: no trial is lost, none ends twice.

A round is drawn from its seed. `DETSWEEP_FAULT_ROUNDS` is the number of rounds on each kind of
storage; the short form is one. Run with -s, a round prints what was done to it.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.trial import TrialState

from detector.sweep.backends.optuna import OptunaSweep
from detector.sweep.opening import open_backend
from detector.sweepfile.spec import read_sweep
from tests.sweep.servers import Postgresql, filled, find_postgresql, postgresql, small_disk
from tests.sweep.taking import x_of
from tests.sweep.toy_agent import EPOCHS

if sys.platform == "win32":
    pytest.skip("it forks its agents and fills a disk that it mounts", allow_module_level=True)

pytestmark = pytest.mark.faults

ROUNDS = int(os.environ.get("DETSWEEP_FAULT_ROUNDS", "1"))
AGENTS_OF_A_SWEEP, TRIALS_OF_A_SWEEP = 4, 8
EPOCH_S, LEASE_S = 0.2, 3.0
FAULTS_S, OUTAGE_S, END_S = 6.0, 1.5, 120.0
CLOCK_SKEWS_S = (0, 3600, -3600)

SWEEP = {
    "method": "random",
    "run_cap": TRIALS_OF_A_SWEEP,
    "metric": {"name": "score", "goal": "maximize"},
    "parameters": {"x": {"min": 0.0, "max": 1.0}},
}


class Nursery:
    """Starts agents whose wall clocks are wrong by `skew` seconds (see agent_nursery.py)."""

    def __init__(self, output: Path, skewed_clock: Path | None, skew: int) -> None:
        environment = dict(os.environ, OMP_NUM_THREADS="1", CLOCK_SKEW_S=str(skew))
        if skewed_clock:
            environment["LD_PRELOAD"] = str(skewed_clock)
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("agent_nursery.py"), output],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
        )

    def start(self, *words: object) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


@dataclass
class Agent:
    pid: int
    sweep: str

    @property
    def runs(self) -> bool:
        state = (
            Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        )
        return state != "Z"


@dataclass
class Crowd:
    """The agents of a round."""

    url: str
    folder: Path
    nurseries: list[Nursery]
    draw: random.Random
    agents: list[Agent] = field(default_factory=list)
    kills: int = 0
    terminations: int = 0

    def add(self, sweep: str) -> None:
        name = f"a{len(self.agents)}"
        nursery = self.nurseries[len(self.agents) % len(self.nurseries)]
        options = [f"--lease={LEASE_S}", f"--epoch-seconds={EPOCH_S}"]
        folder = self.folder / sweep
        pid = nursery.start(self.url, sweep, folder, name, *options)
        self.agents.append(Agent(pid, sweep))

    def end_one(self) -> None:
        """End an agent, mostly without a warning, and start another in its place."""
        running = [agent for agent in self.agents if agent.runs]
        if not running:
            return
        victim = self.draw.choice(running)
        how = self.draw.choices([signal.SIGKILL, signal.SIGTERM], [3, 1])[0]
        os.kill(victim.pid, how)
        self.kills += how == signal.SIGKILL
        self.terminations += how == signal.SIGTERM
        self.add(victim.sweep)

    def wait(self) -> None:
        deadline = time.monotonic() + END_S
        while any(agent.runs for agent in self.agents):
            assert time.monotonic() < deadline, "agents did not come to an end"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def disk() -> Iterator[Path | None]:
    with small_disk(200) as path:
        yield path


@pytest.fixture(scope="module")
def database(disk: Path) -> Iterator[Postgresql]:
    pytest.importorskip("psycopg2", reason="detsweep[postgresql] is not installed")
    programs = find_postgresql()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with postgresql(programs, disk) as server:
        yield server


@pytest.fixture(scope="module")
def skewed_clock(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A library that shifts the clock of whatever preloads it; None without a C compiler."""
    if shutil.which("cc") is None:
        return None
    library = tmp_path_factory.mktemp("clock") / "skewed_clock.so"
    source = Path(__file__).with_name("skewed_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@pytest.fixture
def crowd_at(tmp_path: Path, skewed_clock: Path) -> Iterator[Callable[[str, random.Random], Crowd]]:
    """Opens a crowd of agents; what still runs is killed after the test."""
    output = tmp_path / "output"
    nurseries = [Nursery(output, skewed_clock, skew) for skew in CLOCK_SKEWS_S]
    crowds: list[Crowd] = []

    def create(url: str, draw: random.Random) -> Crowd:
        crowds.append(Crowd(url, tmp_path, nurseries, draw))
        return crowds[-1]

    yield create
    for agent in (agent for crowd in crowds for agent in crowd.agents):
        os.kill(agent.pid, signal.SIGKILL)
    for nursery in nurseries:
        nursery.process.communicate()


def restart(database: Postgresql, how: signal.Signals) -> None:
    database.stop(how)
    time.sleep(OUTAGE_S)
    database.start()


def fill_for_a_while(disk: Path | None, database: Postgresql | None = None) -> None:
    with filled(disk):
        time.sleep(OUTAGE_S)
    if database is not None and not database.runs:
        database.start()  # it gives up where it cannot write its log


def play(crowd: Crowd, sweeps: list[str], outages: list[Callable[[], None]]) -> None:
    """Have the agents work on the sweeps while they, and what they need, fail."""
    for sweep in sweeps * AGENTS_OF_A_SWEEP:
        crowd.add(sweep)
    crowd.draw.shuffle(outages)
    moments = sorted(crowd.draw.uniform(0.5, FAULTS_S) for _ in outages)
    begun = time.monotonic()
    while time.monotonic() < begun + FAULTS_S:
        if moments and time.monotonic() >= begun + moments[0]:
            moments.pop(0)
            outages.pop()()
        time.sleep(crowd.draw.uniform(0.2, 0.8))
        crowd.end_one()
    crowd.wait()


def check(crowd: Crowd, created: str) -> int:
    """That the sweep is whole; how many epochs were lost."""
    sweep = open_backend(crowd.url).open(created)
    assert isinstance(sweep, OptunaSweep)
    trials = sweep.trials()
    assert [trial.number for trial in trials] == list(range(TRIALS_OF_A_SWEEP))
    assert {trial.state for trial in trials} == {"finished"}, [trial.reason for trial in trials]
    stored = sweep.study.storage.get_all_trials(sweep.study.study_id)
    ended = [trial for trial in stored if trial.state == TrialState.COMPLETE]
    assert len(ended) == TRIALS_OF_A_SWEEP
    assert not [trial for trial in stored if trial.state == TrialState.RUNNING]

    lost = 0
    for trial in trials:
        x = x_of(trial.params)
        assert trial.curve == {epoch: epoch + x for epoch in range(1, EPOCHS + 1)}
        notes = (
            (crowd.folder / created / str(trial.number)).read_text(encoding="utf-8").splitlines()
        )
        finished = [int(note.split()[1]) for note in notes if note.endswith("finished")]
        assert finished == list(range(1, EPOCHS + 1)), notes
        lost += len(notes) - 2 * len(finished)
    return lost


def run_round(seed: int, kind: str, crowd: Crowd, outages: list[Callable[[], None]]) -> None:
    backend = open_backend(crowd.url)
    spec = read_sweep(yaml.safe_dump(SWEEP), "test")
    sweeps = [backend.create(spec).id for _ in range(2)]
    for sweep in sweeps:
        (crowd.folder / sweep).mkdir()
    play(crowd, sweeps, outages)
    lost = sum(check(crowd, sweep) for sweep in sweeps)
    print(
        f"{kind} round {seed}: {crowd.kills} killed, {crowd.terminations} terminated, "
        f"{lost} epochs lost"
    )
    assert lost <= crowd.kills


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_fault_loses_a_trial_on_a_journal(
    seed: int, crowd_at: Callable[..., Any], disk: Path, tmp_path: Path
) -> None:
    folder = disk or tmp_path
    journal = folder / f"journal-{seed}"
    crowd = crowd_at(f"journal:///{journal}", random.Random(seed))
    run_round(seed, "journal", crowd, [lambda: fill_for_a_while(disk)] * 2)
    journal.unlink()


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_fault_loses_a_trial_on_postgresql(
    seed: int, crowd_at: Callable[..., Any], disk: Path, database: Postgresql
) -> None:
    crowd = crowd_at(database.create(f"faults_{seed}"), random.Random(seed))
    how = crowd.draw.choice([signal.SIGINT, signal.SIGQUIT])
    outages = [lambda: restart(database, how), lambda: fill_for_a_while(disk, database)]
    run_round(seed, "postgresql", crowd, outages)
