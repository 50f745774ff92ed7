"""What `detsweep run` refuses before it starts, and how it reports a step that failed."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector.cli.main import app
from detector.errors import ConfigError, DetsweepError

SWEEP = Path(__file__).parents[2] / "sweeps" / "quickstart.yaml"
DETSWEEP = Path(sys.executable).with_name("detsweep")


def test_an_unknown_override_is_refused_at_once(tmp_path: Path) -> None:
    arguments = ["--data", str(tmp_path), "--sweep", str(SWEEP), "--store", str(tmp_path / "run")]
    result = CliRunner().invoke(app, ["run", *arguments, "models.optimizer.learning_rate=1"])
    assert isinstance(result.exception, ConfigError)
    assert not (tmp_path / "run").exists()


def test_a_store_on_s3_needs_a_backend(tmp_path: Path) -> None:
    arguments = ["--data", str(tmp_path), "--sweep", str(SWEEP), "--store", "s3://bucket/run"]
    result = CliRunner().invoke(app, ["run", *arguments])
    assert isinstance(result.exception, DetsweepError)
    assert "--backend" in str(result.exception)


@pytest.mark.timeout(120)
def test_a_data_set_with_errors_fails_the_first_step_and_says_how_to_go_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "gt").mkdir()
    (data / "images" / "a.jpg").write_bytes(b"not an image")
    (data / "gt" / "a.txt").write_text("1,2,3\n", encoding="utf-8")
    given = [DETSWEEP, "run", "--data", data, "--sweep", SWEEP, "--store", tmp_path / "run"]
    done = subprocess.run(list(map(str, given)), capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert "prepare │ error:" in done.stdout
    assert "detsweep data check" in done.stdout
    assert "prepare failed with exit code 2" in done.stderr
    assert "the same command continues the run" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
