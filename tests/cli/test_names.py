"""Names that mean something to a terminal's markup are printed as they are."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.sweep.opening import open_backend
from detector.sweepfile.spec import read_sweep
from tests.cli.shell import detsweep

NAMES = ["[bold]x", "x[_]", "[red", ":dog:", "[link]b"]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a page of this name, in a terminal that is wide enough for them."""
    monkeypatch.setenv("COLUMNS", "300")
    folder = tmp_path / name
    for part in ("images", "gt"):
        (folder / part).mkdir(parents=True)
    pixels = np.full((512, 256, 3), 255, np.uint8)
    pixels[100:140, 40:200] = 0
    Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
    (folder / "gt" / f"{name}.txt").write_text(
        "40,100,200,100,200,140,40,140,TOTAL\n", encoding="utf-8"
    )
    return folder


def test_a_data_set(data: Path, name: str, tmp_path: Path) -> None:
    labels = data / "gt" / f"{name}.txt"
    copied = detsweep("data", "convert", data, tmp_path / "copy" / name)
    assert f"copy/{name}" in copied.output
    labels.write_text(f"40,100,200,100,{name},140,40,140,TOTAL\n", encoding="utf-8")
    checked = detsweep("data", "check", data)
    assert f"gt/{name}.txt" in checked.output
    assert f"{name!r}, not a number" in checked.output
    missing = detsweep("data", "check", f"{data}-not-there")
    assert f"{name}-not-there" in missing.output


def test_a_model(model: Path, data: Path, name: str, tmp_path: Path) -> None:
    renamed = tmp_path / f"{name}.onnx"
    shutil.copy(model, renamed)
    assert name in detsweep("evaluate", "--data", data, "--model", renamed).output
    out = tmp_path / "out" / name
    mistakes = detsweep("errors", "--data", data, "--model", renamed, "--out", out)
    assert f"images/{name}.png" in mistakes.output or f"{name}.png" in mistakes.output
    assert f"out/{name}" in mistakes.output


def test_a_sweep(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    url = f"sqlite:///{tmp_path}/sweep.db"
    metric, value = f"metric: {{name: '{name}'}}", f"parameters: {{a: {{value: '{name}'}}}}"
    file = f"program: p\nmethod: grid\n{metric}\n{value}"

    sweep = open_backend(url).create(read_sweep(file, "f"))
    held = sweep.claim(f"agent {name}")
    shown = detsweep("sweep", "status", sweep.id, "--backend", url).output
    for printed in (f"best {name}", f"agent {name}", f"a={name}"):
        assert printed in shown
    del held


def test_what_is_wrong_with_an_option(name: str) -> None:
    for words in (
        ("data", "synth", "there", "--by", name),
        ("data", name),
        ("sweep", "check", f"{name}.yaml"),
        ("config", "keys", name),
        ("help", name),
        (f"--{name}",),
    ):
        refused = detsweep(*words)
        assert refused.code == 2
        assert name in refused.output
