"""What an agent does when somebody has written to the sweep's database."""

from pathlib import Path

import optuna
import pytest
from typer.testing import CliRunner

from detector.cli.sweep import app
from detector.errors import ConfigError, StoreError, SweepError
from detector.steps.agent import run_sweep_agent
from detector.steps.run import Run
from detector.sweep.backends.optuna import OptunaSweep
from detector.sweep.opening import open_backend
from detector.sweep.outcome import SweepOutcome

PROGRAM = """
import sys
from pathlib import Path
from detector.sweep import log
with Path(__file__).with_name("words").open("a") as words:
    print(sys.argv[1:], file=words)
log({"loss": 1.0})
"""
SWEEP = """\
method: grid
program: PROGRAM
metric: {name: loss, goal: minimize}
parameters:
  width: {values: [8, 4]}
  name: {value: "; touch stolen"}
  depth: {parameters: {count: {min: 1, max: 1.5, distribution: q_uniform, q: 0.5}}}
"""


class Swept:
    """A sweep of a program, as `sweep init` leaves it."""

    def __init__(self, folder: Path):
        self.folder, self.url = folder, f"journal:///{folder}/sweeps"
        (folder / "train.py").write_text(PROGRAM, encoding="utf-8")
        self.file, self.run = folder / "sweep.yaml", Run(str(folder / "run"))
        self.text = SWEEP.replace("PROGRAM", str(folder / "train.py"))
        self.file.write_text(self.text, encoding="utf-8")
        words = ["init", str(self.file), "--store", self.run.url, "--backend", self.url]
        said = CliRunner().invoke(app, words, catch_exceptions=False)
        self.id = said.stdout.splitlines()[-1]

    def sweep(self) -> OptunaSweep:
        opened = open_backend(self.url).open(self.id)
        assert isinstance(opened, OptunaSweep)
        return opened

    def change_file(self, old: str, new: str) -> None:
        """Change the sweep file that the database holds."""
        study = self.sweep().study
        assert old in study.spec.source
        changed = study.spec.source.replace(old, new)
        study.storage.set_study_user_attr(study.study_id, "sweep_file", changed)

    def queue(self, params: dict[str, object]) -> None:
        """Put a trial into the database, for the next agent to take."""
        study = self.sweep().study
        waiting = optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING, user_attrs={"params": params}
        )
        study.storage.create_new_trial(study.study_id, waiting)

    def words(self) -> str:
        """With which the program was run."""
        path = self.folder / "words"
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swept:
    monkeypatch.chdir(tmp_path)
    return Swept(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("method: grid", "method: grid\ncommand: [/bin/sh, -c, touch stolen]"),
        ("train.py", "../../usr/bin/env"),
        ("{value: ", '{values: ["--config=/etc/passwd"]} #'),
        ("  width:", "  hydra.launcher: {value: evil}\n  width:"),
        ("depth: {parameters: {count: {", "depth.count: {parameters: {other: {"),
        ("program:", "name:"),
    ],
)
def test_nothing_is_run_of_a_sweep_file_that_was_changed_in_the_database(
    swept: Swept, old: str, new: str
) -> None:
    swept.change_file(old, new)
    with pytest.raises(SweepError, match=r"the database has another .* than the sweep file"):
        run_sweep_agent(swept.run, swept.sweep(), "a1")
    assert not (swept.folder / "stolen").exists()
    assert not swept.words()


def test_numbers_that_a_backend_writes_in_its_own_way_are_no_change(swept: Swept) -> None:
    swept.change_file("min: 1, max: 1.5", "min: 1.0, max: 1.5")
    run_sweep_agent(swept.run, swept.sweep(), "a1")
    assert len(swept.words().splitlines()) == 4


@pytest.mark.parametrize(
    "params",
    [
        {"width": "$(touch stolen)", "name": "; touch stolen", "depth.count": 1.0},
        {"width": "--config=/etc/passwd"},
        {"width --out": 8},
        {"--out": "/etc"},
        {"out=/etc ": 8},
        {"depth": {"count": 1.0, "other": 2}},
        {"depth.count": "1.0; touch stolen"},
        {"depth.count": True},
        {"depth": 1.0},
    ],
)
def test_values_that_the_sweep_file_does_not_allow_reach_no_program(
    swept: Swept, params: dict[str, object]
) -> None:
    swept.queue(params)
    run_sweep_agent(swept.run, swept.sweep(), "a1", count=1)
    trial = swept.sweep().trials()[0]
    assert trial.state == "failed"
    assert "the sweep file does not allow" in str(trial.reason)
    assert not swept.words()
    assert not (swept.folder / "stolen").exists()


def test_values_are_words_of_the_program_and_never_read_by_a_shell(swept: Swept) -> None:
    run_sweep_agent(swept.run, swept.sweep(), "a1", count=1)
    assert "'--name=; touch stolen'" in swept.words()
    assert not (swept.folder / "stolen").exists()


def test_a_store_without_the_sweep_file_runs_no_program_until_it_is_given(swept: Swept) -> None:
    other = Run(str(swept.folder / "other"), swept.id)
    with pytest.raises(SweepError, match="does not hold the sweep file"):
        run_sweep_agent(other, swept.sweep(), "a1")
    assert not swept.words()
    words = ["agent", swept.id, "--store", other.url, "--backend", swept.url, "--count", "1"]
    CliRunner().invoke(app, [*words, "--file", str(swept.file)], catch_exceptions=False)
    assert swept.words()


def test_a_sweep_file_that_was_changed_in_the_store_is_refused(swept: Swept) -> None:
    stored = Path(swept.run.sweep_file_url)
    stored.write_text(stored.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    with pytest.raises(StoreError, match="not the one that the run was begun with"):
        run_sweep_agent(swept.run, swept.sweep(), "a1")
    assert not swept.words()


def test_a_finished_trial_with_foreign_values_is_no_outcome(swept: Swept) -> None:
    study = swept.sweep().study
    done = optuna.trial.create_trial(
        state=optuna.trial.TrialState.COMPLETE,
        value=0.1,
        intermediate_values={1: 0.1},
        user_attrs={"params": {"models.init": "/etc/passwd"}},
    )
    study.storage.create_new_trial(study.study_id, done)
    with pytest.raises(ConfigError, match="the sweep file does not allow"):
        SweepOutcome.so_far(swept.sweep())
