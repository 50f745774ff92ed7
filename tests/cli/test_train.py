"""What `detsweep train` refuses before it reads a page, and what it leaves behind."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector import Detector
from detector.cli.main import app
from detector.data.folds import Folds
from detector.errors import ConfigError, DataError, StoreError
from detector.training.device import MPS, present_devices
from tests.tiny_run import overrides


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    words = ["preset=quickstart", "data.path=nowhere", "--run-dir", str(tmp_path / "file" / "run")]
    result = CliRunner().invoke(app, ["train", *words])
    assert isinstance(result.exception, StoreError)
    assert "is a file, and no folder" in str(result.exception)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trainer.device=mps", "mps is not there"),
        ("models.init=nonsense", "there is no file 'nonsense'"),
        ("models.encoder.model_name=resnett18", "timm has no model 'resnett18'"),
    ],
)
def test_what_cannot_be_trained_here_is_refused_before_the_data_is_read(
    tmp_path: Path, word: str, said: str
) -> None:
    if MPS in present_devices() and "mps" in word:
        pytest.skip("it is there")
    words = ["preset=quickstart", "data.path=nowhere", "--run-dir", str(tmp_path / "run"), word]
    result = CliRunner().invoke(app, ["train", *words])
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)


@pytest.mark.parametrize("words", [["--data", "nowhere"], ["data.path=nowhere"]])
def test_the_data_set_is_named_as_for_the_other_commands(words: list[str], tmp_path: Path) -> None:
    run_dir = ["--run-dir", str(tmp_path / "run")]
    result = CliRunner().invoke(app, ["train", "preset=quickstart", *words, *run_dir])
    assert isinstance(result.exception, DataError)
    assert "nowhere: there is no such folder" in str(result.exception)


def test_a_training_leaves_a_model_that_can_be_used(folds: Folds, tmp_path: Path) -> None:
    data = folds.pages[0].image.parents[2]
    words = [f"data.path={data}", *overrides(epochs=1), "--run-dir", str(tmp_path / "run")]
    result = CliRunner().invoke(app, ["train", *words], catch_exceptions=False)
    assert result.exit_code == 0
    # Each takes seconds, or a minute where others work too: none is waited for without a word.
    *announced, _ = result.stderr.split("\n", 3)
    number = len(folds.training(None))
    assert announced == [
        "loading torch",
        f"reading {data}",
        f"building the network, to train on {number} pages",
    ]
    detector = Detector(tmp_path / "run" / "model.onnx")
    assert detector.card.config["models"]["encoder"]["model_name"] == "mobilenetv3_small_050"
    detector(folds.held_out[0].image)
