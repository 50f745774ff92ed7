"""`detsweep plan`, with a few seconds of real training."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector.cli.main import app
from detector.data.synthetic.drawing import draw_receipts
from detector.errors import ConfigError, SweepError

SWEEPS = Path(__file__).parents[2] / "sweeps"
OVERRIDES = [
    "preset=quickstart",
    "data.resize.side=128",
    "data.crop_size=64",
    "models.encoder.model_name=mobilenetv3_small_050",
    "models.decoder.inner_channels=16",
]


@pytest.mark.timeout(120)
def test_a_plan_says_what_was_measured_the_hours_and_the_quota(tmp_path: Path) -> None:
    draw_receipts(tmp_path, train=12, held_out=3, seed=1)
    sweep = str(SWEEPS / "quickstart.yaml")
    options = ["--data", str(tmp_path), "--sweep", sweep, "--agents", "3", "--seconds", "1"]
    done = CliRunner().invoke(app, ["plan", *options, *OVERRIDES])
    assert done.exit_code == 0, done.output
    assert re.search(r"CPU cores?: \d+\.\d\d s a step \(4 crops at once\)", done.output)
    assert re.search(r"4 trials, then 1 fold ", done.output)
    rows = re.findall(r"^\s*(\d+) +0\.\d+ ", done.output, re.MULTILINE)
    assert rows == ["1", "2", "3", "4", "8", "16"]
    assert "quota for 3 agents and the storage: requests.nvidia.com/gpu: 3, " in done.output
    assert "requests.cpu: 14, requests.memory: 75Gi" in done.output


def test_a_fold_on_gpus_that_cannot_share_its_batch_is_refused(tmp_path: Path) -> None:
    options = ["--data", str(tmp_path), "--sweep", str(SWEEPS / "quickstart.yaml")]
    done = CliRunner().invoke(app, ["plan", *options, "--gpus-per-fold", "3", *OVERRIDES])
    assert isinstance(done.exception, ConfigError)
    assert "data.batch_size=4 times" in str(done.exception)
    assert "cannot be shared by 3 processes" in str(done.exception)


def test_a_sweep_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_bytes("name: café\n".encode("latin-1"))
    done = CliRunner().invoke(app, ["plan", "--data", str(tmp_path), "--sweep", str(sweep)])
    assert isinstance(done.exception, SweepError)
    assert done.exception.where == str(sweep)
