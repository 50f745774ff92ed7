"""The examples do what they say, on drawn pages."""

import os
import re
import shutil
import subprocess
import sys
from ast import literal_eval
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.data.synthetic.drawing import draw_receipts

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SETTINGS = [
    "preset=quickstart",
    "folds.count=2",
    "data.resize.side=256",
    "data.crop_size=128",
    "data.crops_per_page=4",
    "models.encoder.model_name=mobilenetv3_small_050",
    "models.decoder.inner_channels=16",
    "models.scheduler.T_max=4",
    "trainer.max_epochs=4",
    # It has learnt very little: everything that may be text, however unsure, is an outline.
    "models.head.postprocess.thresh=0.05",
    "models.head.postprocess.box_thresh=0.05",
]


def run_example(name: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Trained:
    """What `train_and_find.py` has made of drawn pages."""

    pages: Path
    folder: Path
    printed: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    base = tmp_path_factory.mktemp("examples")
    pages, folder = base / "pages", base / "run"
    draw_receipts(pages, train=8, held_out=2, seed=5)
    return Trained(pages, folder, run_example("train_and_find.py", pages, folder, *SETTINGS))


def test_a_detector_is_trained_and_finds_outlines(trained: Trained) -> None:
    *epochs, last = trained.printed.splitlines()
    assert [line.split(":")[0] for line in epochs] == [f"epoch {n}" for n in (1, 2, 3, 4)]
    found = re.fullmatch(r"(.+) finds (\d+) outlines on (.+)", last)
    assert found is not None, last
    assert Path(found[1]) == trained.folder / "model.onnx"
    assert Path(found[1]).is_file()
    assert int(found[2]) > 0
    assert (trained.pages / found[3]).is_file()


def test_the_text_of_an_image_is_found(trained: Trained) -> None:
    page = next((trained.pages / "val" / "images").iterdir())
    lines = run_example("find_text.py", trained.folder / "model.onnx", page).splitlines()
    assert lines
    for line in lines:
        points, score = line.rsplit(" ", 1)
        assert len(literal_eval(points)) == 4
        assert 0.05 <= float(score) <= 1


def test_a_picture_shows_the_photo_and_its_outlines(trained: Trained, tmp_path: Path) -> None:
    photo = next((trained.pages / "val" / "images").iterdir())
    run_example("draw_outlines.py", trained.folder / "model.onnx", photo, tmp_path / "found.png")
    with Image.open(photo) as page, Image.open(tmp_path / "found.png") as picture:
        assert picture.size == (2 * page.width, page.height)
        left = np.asarray(picture.convert("RGB"), int)[:, : page.width]
        assert abs(left - np.asarray(page, int)).mean() < 10
        right = np.asarray(picture.convert("RGB"), int)[:, page.width :]
    greener = right[..., 1] - left[..., 1] - (right[..., 0] - left[..., 0])
    assert (greener > 50).any()


def shown_in_readme() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def test_the_readme_shows_the_example() -> None:
    assert (EXAMPLES / "find_text.py").read_text() in shown_in_readme()


def test_the_tour_of_the_readme_runs(
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tmp_path / "runs/quickstart/ensemble/model.onnx"
    model.parent.mkdir(parents=True)
    shutil.copyfile(trained.folder / "model.onnx", model)
    shutil.copytree(trained.pages, tmp_path / "receipts")
    monkeypatch.chdir(tmp_path)
    (tour,) = [code for code in shown_in_readme() if "DataSet" in code]
    exec(compile(tour, "README.md", "exec"), {})
    pages = {line.split(" ")[0] for line in capsys.readouterr().out.splitlines()}
    assert len(pages) == 10


def test_the_picture_of_the_readme_is_small() -> None:
    assert (ROOT / "docs/found.png").stat().st_size < 200_000
