"""The examples do what they say, on drawn pages."""

import json
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
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from detector import DataSet, Detections
from detector.cli.main import app
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
        encoding="utf-8",
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


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_an_example_without_arguments_says_how_it_is_used(name: str) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"usage: {name} ")
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    base = tmp_path_factory.mktemp("examples")
    pages, folder = base / "pages", base / "run"
    draw_receipts(pages, train=8, held_out=2, seed=5)
    return Trained(pages, folder, run_example("train_and_find.py", pages, folder, *SETTINGS))


def test_a_detector_is_trained_and_finds_outlines(trained: Trained) -> None:
    *lines, last = trained.printed.splitlines()
    # So short a training is warned of besides.
    epochs = [line.split(":")[0] for line in lines if line.startswith("epoch ")]
    assert epochs == [f"epoch {n}" for n in (1, 2, 3, 4)]
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


def labelme_file(image: Path, shapes: list[dict[str, object]]) -> str:
    """A file as Labelme 5 writes it."""
    width, height = Image.open(image).size
    return json.dumps(
        {
            "version": "5.5.0",
            "flags": {},
            "shapes": [{"group_id": None, "flags": {}, **shape} for shape in shapes],
            "imagePath": image.name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
    )


def test_labels_of_another_tool_become_a_data_set(trained: Trained, tmp_path: Path) -> None:
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    for name in ("receipt_0001.jpg", "receipt_0002.jpg"):
        image = Path(shutil.copy(trained.pages / "train" / "images" / name, labelled))
        shapes: list[dict[str, object]] = [
            {
                "label": "TOTAL",
                "points": [[10.5, 20], [60, 22], [60, 40], [10, 38]],
                "shape_type": "polygon",
            },
            {"label": "9.95", "points": [[90, 40], [70, 20]], "shape_type": "rectangle"},
            {"label": "###", "points": [[5, 60], [40, 80]], "shape_type": "rectangle"},
        ]
        image.with_suffix(".json").write_text(labelme_file(image, shapes), encoding="utf-8")
    printed = run_example("from_labelme.py", labelled, tmp_path / "receipts")
    assert printed == "2 pages with 6 outlines\n"
    total, price, ignored = DataSet.read(tmp_path / "receipts").pages()[0].boxes
    assert total.text == "TOTAL"
    assert total.points.tolist() == [[10.5, 20], [60, 22], [60, 40], [10, 38]]
    assert price.points.tolist() == [[70, 20], [90, 20], [90, 40], [70, 40]]
    assert [box.ignore for box in (total, price, ignored)] == [False, False, True]


def test_another_program_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    place = ["--store", str(tmp_path / "run"), "--backend", f"journal:///{tmp_path}/sweeps"]

    def detsweep(*words: str) -> str:
        result = CliRunner().invoke(app, ["sweep", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "0 errors, 0 warnings" in detsweep("check", "examples/fit_curve.yaml")
    identity = detsweep("init", "examples/fit_curve.yaml", *place).split()[-1]
    detsweep("agent", identity, *place)
    best = json.loads(detsweep("best", identity, *place, "--json"))
    assert best["metric"] == "loss"
    assert 0 < best["value"] < 0.5
    assert set(best["params"]) == {"lr", "momentum"}


def test_the_text_of_a_photo_is_read_where_our_detector_finds_it(trained: Trained) -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="rapidocr-onnxruntime is not installed")
    from examples.read_text import read_text

    page = next(page for page in DataSet.read(trained.pages).pages() if page.held_out)

    def labels_as_found(image: NDArray[np.uint8]) -> Detections:
        with Image.open(page.image) as photo:
            assert np.array_equal(image, np.asarray(photo))  # in RGB, and not scaled
        quads = [box.points.astype(np.float32) for box in page.boxes]
        return Detections(quads, np.ones(len(quads), np.float32))

    read = read_text(str(page.image), labels_as_found)
    right = 0
    for line in read:
        nearest = min(page.boxes, key=lambda box: float(abs(box.points - line.box).max()))
        assert abs(nearest.points - line.box).max() < 1
        right += line.text == nearest.text
    assert right > 0.6 * len(page.boxes)


def test_a_model_of_ours_reads_a_photo(trained: Trained) -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="rapidocr-onnxruntime is not installed")
    photo = next((trained.pages / "val" / "images").iterdir())
    for line in run_example("read_text.py", trained.folder / "model.onnx", photo).splitlines():
        _, score, box = line.split("\t")
        assert 0 <= float(score) <= 1
        assert len(literal_eval(box)) == 4


@pytest.mark.timeout(300)
def test_the_notebook_shows_pages_and_what_was_found(trained: Trained, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="the extra `docs` is not installed")
    pytest.importorskip("ipykernel", reason="the extra `docs` is not installed")
    nbformat = pytest.importorskip("nbformat")
    model = tmp_path / "runs/quickstart/ensemble/model.onnx"
    model.parent.mkdir(parents=True)
    shutil.copyfile(trained.folder / "model.onnx", model)
    notebook = nbformat.read(EXAMPLES / "first_look.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    assert any("outlines; the first" in output.get("text", "") for output in outputs)


def shown_in_readme() -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S
    )


def test_the_readme_shows_the_example() -> None:
    assert (EXAMPLES / "find_text.py").read_text(encoding="utf-8") in shown_in_readme()


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
