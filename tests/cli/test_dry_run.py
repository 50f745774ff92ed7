"""`detsweep run --dry-run`: what a run takes and how long, with nothing started."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from detector.cli.main import app
from detector.data.synthetic.drawing import draw_receipts
from detector.errors import ConfigError
from pipelines.settings import Settings
from pipelines.sweep import build_pipeline
from tests.tiny_run import SWEEP, overrides

STEPS = ("prepare", "sweep-init", "agent", "select", "fold", "ensemble")


def dry_run(folder: Path, *options: str) -> Result:
    given = ["--data", str(folder / "data"), "--sweep", str(folder / "tiny.yaml")]
    given += ["--store", str(folder / "run"), *options, *overrides(epochs=2)]
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, ["run", "--dry-run", *given])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw_receipts(tmp_path / "data", train=9, held_out=3, seed=1)
    (tmp_path / "tiny.yaml").write_text(SWEEP, encoding="utf-8")
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.timeout(120)
def test_it_shows_every_step_with_its_time_and_leaves_nothing(folder: Path) -> None:
    before = files(folder)
    result = dry_run(folder, "--prefer", "fold 1", "--baseline", "0.9")
    assert result.exit_code == 0, result.output
    table = result.stdout.partition("Steps")[2]
    assert [step for step in STEPS if f"\n{step}" not in table] == []
    assert "9 pages in 2 folds, 3 held out" in result.stdout
    assert "random, 2 trials, 1 parameter searched" in result.stdout
    assert "a new run" in result.stdout
    assert "all: " in table
    assert files(folder) == before


def test_the_steps_are_those_of_the_pipeline() -> None:
    executors = build_pipeline(Settings()).pipeline_spec.deployment_spec["executors"]
    names = {name.removeprefix("exec-") for name in executors}
    assert names == set(STEPS)


def test_what_a_run_refuses_it_refuses_too(folder: Path) -> None:
    result = dry_run(folder, "--prefer", "fold 7")
    assert isinstance(result.exception, ConfigError)
