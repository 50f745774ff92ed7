"""`detsweep errors` and `detsweep promote` with a model that finds dark bars, but no light ones."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from detector.cli.main import app
from detector.errors import DataError, StoreError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pages with two words each: on the last, one of them is too light to be found."""
    for folder in ("images", "gt"):
        (tmp_path / folder).mkdir()
    for name, shades in (("a", (0, 0)), ("b", (0, 0)), ("c", (0, 220))):
        write_page(tmp_path, name, shades)
    return tmp_path


def write_page(root: Path, name: str, shades: Sequence[int]) -> None:
    pixels = np.full((512, 256, 3), 255, np.uint8)
    lines = []
    for i, shade in enumerate(shades):
        top = 100 + 100 * i
        pixels[top : top + 40, 40:200] = shade
        lines.append(f"40,{top},200,{top},200,{top + 40},40,{top + 40},TOTAL")
    Image.fromarray(pixels).save(root / "images" / f"{name}.png")
    (root / "gt" / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_worst_page_comes_first_with_what_is_missed_on_it(
    model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "errors"
    result = invoke("errors", "--data", data, "--model", model, "--out", out, "--worst", 2)
    assert result.exit_code == 0
    first, *others = json.loads((out / "errors.json").read_text(encoding="utf-8"))["pages"]
    assert first["page"] == "images/c.png"
    assert first["missed"] == [[[40, 200], [200, 200], [200, 240], [40, 240]]]
    assert all(not page["missed"] and not page["false"] for page in others)
    assert len(list(out.glob("*.png"))) == 2
    assert Image.open(out / "01-c.png").size == (512, 512)
    assert '"name": "images/c.png"' in (out / "errors.html").read_text(encoding="utf-8")


def test_pictures_of_an_earlier_call_are_taken_away_and_nothing_else(
    model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "errors"
    words = ["errors", "--data", data, "--model", model, "--out", out, "--worst"]
    assert invoke(*words, 3).exit_code == 0
    (out / "mine.png").write_bytes(b"mine")
    assert invoke(*words, 1).exit_code == 0
    assert sorted(path.name for path in out.glob("*.png")) == ["01-c.png", "mine.png"]


def test_the_tables_say_how_much_of_each_kind_of_text_is_found(
    model: Path, data: Path, tmp_path: Path
) -> None:
    result = invoke("errors", "--data", data, "--model", model, "--out", tmp_path / "errors")
    for words in ("By height", "By tilt", "By density", "tilted below 2°", "83.3 %"):
        assert words in result.stdout


@pytest.mark.parametrize(
    ("baseline", "verdict", "code"),
    [("0.2", "promoted", 0), ("0.95", "within noise", 3), ("1.0", "within noise", 3)],
)
def test_the_exit_code_says_what_the_gate_decided(
    model: Path, data: Path, baseline: str, verdict: str, code: int
) -> None:
    result = invoke("promote", "--data", data, "--model", model, "--baseline", baseline)
    assert result.stdout.startswith(f"{verdict}: H-Mean 0.9")
    assert result.exit_code == code


def test_a_model_is_within_noise_of_itself(model: Path, data: Path) -> None:
    result = invoke("promote", "--data", data, "--model", model, "--baseline", model)
    assert result.exit_code == 3
    assert "a difference of +0.0000 (+0.0000 to +0.0000" in result.stdout


@pytest.mark.parametrize(
    ("baseline", "error"), [("97.14", DataError), ("s3x://bucket/model.onnx", StoreError)]
)
def test_what_is_no_baseline_is_refused(
    model: Path, data: Path, baseline: str, error: type[Exception]
) -> None:
    result = invoke("promote", "--data", data, "--model", model, "--baseline", baseline)
    assert isinstance(result.exception, error)
