"""`detsweep predict` and `detsweep evaluate` on a model that finds what is dark."""

import csv
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from detector.cli.main import app
from detector.data.data_set import DataSet
from detector.data.output_format import OutputFormat
from detector.errors import ModelError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    pixels = np.full((512, 256, 3), 255, np.uint8)
    pixels[100:140, 40:200] = 0
    for folder in ("images", "gt"):
        (tmp_path / folder).mkdir()
    Image.fromarray(pixels).save(tmp_path / "images" / "page.png")
    (tmp_path / "gt" / "page.txt").write_text(
        "40,100,200,100,200,140,40,140,TOTAL\n", encoding="utf-8"
    )
    return tmp_path


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_predict_writes_json_csv_and_overlays_in_the_images_pixels(
    model: Path, data: Path, tmp_path: Path
) -> None:
    image, out = data / "images" / "page.png", tmp_path / "out"
    files = ["--json", out / "p.json", "--csv", out / "p.csv", "--overlay", out]
    assert invoke("predict", image, "--model", model, *files).exit_code == 0
    (box,) = json.loads((out / "p.json").read_text(encoding="utf-8"))["images"][str(image)]
    corners = [[40, 100], [200, 100], [200, 140], [40, 140]]
    np.testing.assert_allclose(box["points"], corners, atol=3)
    with (out / "p.csv").open() as lines:
        (row,) = csv.DictReader(lines)
    points = [[float(x) for x in point.split(",")] for point in row["points"].split()]
    np.testing.assert_allclose(points, box["points"], atol=0.06)
    assert Image.open(out / "page.png").size == (256, 512)


def test_predict_prints_json_where_no_file_is_asked_for(model: Path, data: Path) -> None:
    result = invoke("predict", data / "images" / "page.png", "--model", model)
    assert len(json.loads(result.stdout)["images"]) == 1


def test_overlays_of_one_name_are_refused_before_anything_is_written(
    model: Path, data: Path, tmp_path: Path
) -> None:
    image = data / "images" / "page.png"
    words = ["predict", image, image, "--model", model, "--overlay", tmp_path / "out"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert "two images are named 'page'" in str(result.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["tiff", "gif", "webp"])
def test_folders_patterns_and_all_pages_of_a_file_are_images(
    kind: str, model: Path, data: Path, tmp_path: Path
) -> None:
    scan = tmp_path / f"scan.{kind}"
    with Image.open(data / "images/page.png") as page:
        others = [page.rotate(180), page]
        page.save(scan, save_all=True, append_images=others, lossless=True)
    result = invoke("predict", data / "images", tmp_path / "sc*n.*", "--model", model)
    found = json.loads(result.stdout)["images"]
    assert list(found) == [str(data / "images/page.png"), *(f"{scan}#{i}" for i in (1, 2, 3))]
    tops = [min(y for _, y in boxes[0]["points"]) for boxes in found.values()]
    np.testing.assert_allclose(tops, [100, 100, 372, 100], atol=3)


def test_pages_of_a_pdf_are_images(model: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    with Image.open(data / "images/page.png") as page:
        turned = page.rotate(180)
        page.save(tmp_path / "scan.pdf", save_all=True, append_images=[turned], resolution=100)
    result = invoke("predict", tmp_path / "scan.pdf", "--model", model)
    found = json.loads(result.stdout)["images"]
    assert list(found) == [f"{tmp_path / 'scan.pdf'}#{i}" for i in (1, 2)]
    # They are drawn at 200 dots per inch.
    tops = [min(y for _, y in boxes[0]["points"]) for boxes in found.values()]
    np.testing.assert_allclose(tops, [200, 744], atol=6)
    out = tmp_path / "out"
    words = ["predict", tmp_path / "scan.pdf", "--model", model, "--out", out, "--to", "labelme"]
    assert invoke(*words).exit_code == 0
    assert [page.image.name for page in DataSet.read(out).pages()] == ["scan-1.png", "scan-2.png"]


def test_a_bad_pdf_costs_that_pdf(model: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    (data / "images/cut.pdf").write_bytes(b"%PDF-1.7\n")
    result = invoke("predict", data / "images", "--model", model, "--csv", tmp_path / "f.csv")
    assert result.exit_code == 1
    assert "cut.pdf: cannot be read as a PDF file" in result.stderr
    assert (tmp_path / "f.csv").read_text(encoding="utf-8").count("page.png") == 1


def test_a_page_of_too_many_pixels_costs_that_page(model: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    with Image.open(data / "images/page.png") as page:
        page.save(tmp_path / "scan.pdf", resolution=72)
    words = ["predict", tmp_path / "scan.pdf", "--model", model, "--max-pixels", 500_000]
    assert "711x1422 is 1,011,042 pixels" in invoke(*words).stderr


def test_a_bad_image_costs_that_image(model: Path, data: Path, tmp_path: Path) -> None:
    (data / "images/cut.png").write_bytes((data / "images/page.png").read_bytes()[:90])
    lines = tmp_path / "found.jsonl"
    result = invoke("predict", data / "images", "--model", model, "--jsonl", lines)
    assert result.exit_code == 1
    assert "images/cut.png: cannot be decoded" in result.stderr
    assert "1 of 2 images could not be read" in result.stderr
    (line,) = lines.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["image"] == str(data / "images/page.png")
    assert len(json.loads(line)["outlines"]) == 1


def test_a_picture_never_overwrites_its_image(model: Path, data: Path) -> None:
    image = data / "images/page.png"
    before = image.read_bytes()
    words = ["predict", image, "--model", model, "--overlay", image.parent]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert "would overwrite an image" in str(result.exception)
    assert image.read_bytes() == before


@pytest.mark.parametrize("option", ["--json", "--jsonl", "--csv", "--overlay"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    option: str, model: Path, data: Path
) -> None:
    image = data / "images/page.png"
    place = image if option == "--overlay" else image / "found"
    words = ["predict", image, "--model", model, option, place]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert "is a file, and no folder" in str(result.exception)
    assert "finding text" not in result.stderr


@pytest.mark.parametrize(
    ("named", "said"), [("nothing-*.png", "nothing fits this pattern"), ("gt", "holds no image")]
)
def test_a_place_without_images_is_refused(named: str, said: str, model: Path, data: Path) -> None:
    result = CliRunner().invoke(app, ["predict", str(data / named), "--model", str(model)])
    assert said in str(result.exception)


@pytest.mark.parametrize("to", [to for to in OutputFormat if not to.is_for_archives])
def test_what_is_found_becomes_a_data_set_that_is_read_back(
    to: OutputFormat, model: Path, data: Path, tmp_path: Path
) -> None:
    with Image.open(data / "images/page.png") as page:
        page.save(tmp_path / "scan.tif", save_all=True, append_images=[page.rotate(180)])
    out = tmp_path / "out"
    words = ["predict", data / "images", tmp_path / "scan.tif", "--model", model]
    assert invoke(*words, "--out", out, "--to", to.value).exit_code == 0
    pages = {page.name: page for page in DataSet.read(out).pages()}
    assert sorted(pages) == ["images/page.png", "images/scan-1.png", "images/scan-2.png"]
    tops = [page.boxes[0].points[:, 1].min() for _, page in sorted(pages.items())]
    np.testing.assert_allclose(tops, [100, 100, 372], atol=3)


@pytest.mark.parametrize("to", [to for to in OutputFormat if to.is_for_archives])
def test_what_is_found_becomes_a_file_of_an_archive(
    to: OutputFormat, model: Path, data: Path, tmp_path: Path
) -> None:
    image, out = data / "images" / "page.png", tmp_path / "out"
    words = ["predict", image, "--model", model, "--out", out, "--to", to.value]
    assert invoke(*words).exit_code == 0
    (file,) = out.iterdir()
    assert file.name in {"page.xml", "page.hocr"}
    assert str(image) in file.read_text(encoding="utf-8")
    again = CliRunner().invoke(app, [str(word) for word in words])
    assert "exists already" in str(again.exception)


def test_a_format_without_a_folder_is_refused(model: Path, data: Path) -> None:
    result = invoke("predict", data / "images", "--model", model, "--to", "alto")
    assert result.exit_code == 2
    assert "--out and --to together" in result.stderr


def test_evaluate_scores_a_perfect_model_perfectly(model: Path, data: Path) -> None:
    result = invoke("evaluate", "--data", data, "--model", model)
    assert result.exit_code == 0
    assert result.stdout.count("1.0000") >= 9


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("command", ["predict", "evaluate", "errors", "promote"])
def test_a_model_whose_weights_are_not_finite_is_refused(
    command: str, number: float, model: Path, data: Path, tmp_path: Path
) -> None:
    graph = onnx.load(model)
    weights = np.array([[number]], np.float32)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(weights, "unsound"))
    damaged = tmp_path / "damaged.onnx"
    onnx.save(graph, damaged)
    where: dict[str, list[object]] = {
        "predict": [data / "images" / "page.png"],
        "errors": ["--data", data, "--out", tmp_path / "out"],
        "promote": ["--data", data, "--baseline", "0.5"],
    }
    with pytest.raises(ModelError, match=r"damaged\.onnx: its weights unsound hold numbers"):
        invoke(command, *where.get(command, ["--data", data]), "--model", damaged)
