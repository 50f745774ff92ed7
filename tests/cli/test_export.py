"""`detsweep export`: the file as other programs load it, and in fewer bits."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry import Polygon
from torch import Tensor, nn
from typer.testing import CliRunner, Result

from detector import Detector
from detector.cli.main import app
from detector.errors import ExportError
from detector.export.model import Model
from detector.export.onnx import export_onnx

BOXES = [(20, 50, 100, 70), (16, 150, 75, 165)]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DarkRedIsText(nn.Module):
    """A network that tells red from blue."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0] = -20 * STD[0]
            self.conv.bias.fill_(20 * (0.6 - MEAN[0]))  # type: ignore[union-attr]  # it has one

    def forward(self, image_B3HW: Tensor) -> Tensor:
        return torch.sigmoid(self.conv(image_B3HW))[:, 0]


@pytest.fixture(scope="module")
def colour_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("colour") / "model.onnx"
    export_onnx(DarkRedIsText(), path)
    Model.write(path, replace(Model(model).card, mean=MEAN, std=STD))
    return path


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def page() -> NDArray[np.uint8]:
    """Of the model's own size, in colours that show whether blue and red are exchanged."""
    pixels = np.full((256, 224, 3), (255, 250, 120), np.uint8)
    for left, top, right, bottom in BOXES:
        pixels[top:bottom, left:right] = (90, 10, 0)
    return pixels


def write_data(root: Path, page: NDArray[np.uint8]) -> Path:
    lines = [
        f"{left},{top},{right},{top},{right},{bottom},{left},{bottom},TOTAL"
        for left, top, right, bottom in BOXES
    ]
    for part in ("train", "val"):
        for i in range(3):
            for folder in ("images", "gt"):
                (root / part / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(page - np.uint8(i)).save(root / part / f"images/{part}{i}.png")
            file = root / part / f"gt/{part}{i}.txt"
            file.write_text("\n".join(lines), encoding="utf-8")
    return root


def exported(model: Path, folder: Path, *options: str) -> Path:
    file = folder / "exported.onnx"
    assert invoke("export", model, file, *options).exit_code == 0
    return file


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    a, b = Polygon(one), Polygon(other)
    return float(a.intersection(b).area / a.union(b).area)


def assert_same(ours: list[NDArray[np.float32]], theirs: list[NDArray[np.float32]]) -> None:
    assert len(theirs) == len(ours) == len(BOXES)
    for outline in ours:
        assert max(overlap(outline, other) for other in theirs) > 0.85


def test_opencv_finds_the_same_text(
    colour_model: Path, page: NDArray[np.uint8], tmp_path: Path
) -> None:
    network = cv2.dnn.readNet(str(exported(colour_model, tmp_path, "--layout", "opencv")))
    theirs = cv2.dnn.TextDetectionModel_DB(network)
    theirs.setBinaryThreshold(0.3).setPolygonThreshold(0.5).setUnclipRatio(0.01)
    theirs.setInputParams(1 / 127.5, (224, 256), (127.5, 127.5, 127.5), False)
    boxes, _ = theirs.detect(np.ascontiguousarray(page[..., ::-1]))
    ours = Detector(colour_model)(page).polygons
    assert_same(ours, [np.asarray(box, np.float32) for box in boxes])


def test_rapidocr_finds_the_same_text(
    colour_model: Path, page: NDArray[np.uint8], tmp_path: Path
) -> None:
    rapidocr = pytest.importorskip("rapidocr_onnxruntime.ch_ppocr_det")
    settings = {
        "model_path": str(exported(colour_model, tmp_path, "--layout", "rapidocr")),
        "limit_type": "min",
        "limit_side_len": 32,
        "unclip_ratio": 0.01,
        "use_dilation": False,
        "intra_op_num_threads": -1,
        "inter_op_num_threads": -1,
        "use_cuda": False,
        "use_dml": False,
    }
    boxes, _ = rapidocr.TextDetector(settings)(np.ascontiguousarray(page[..., ::-1]))
    assert_same(Detector(colour_model)(page).polygons, list(boxes.astype(np.float32)))


@pytest.mark.parametrize(("layout", "axes"), [("rapidocr", 4), ("opencv", 2)])
def test_its_map_is_that_of_the_model(
    layout: str, axes: int, colour_model: Path, page: NDArray[np.uint8], tmp_path: Path
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(exported(colour_model, tmp_path, "--layout", layout))
    given = (page[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
    (drawn,) = session.run(None, {session.get_inputs()[0].name: given})
    assert drawn.ndim == axes
    expected = Detector(colour_model).probability_map(page)
    np.testing.assert_allclose(drawn.reshape(expected.shape), expected, atol=1e-5)


def test_a_run_is_exported_in_float16(
    colour_model: Path, page: NDArray[np.uint8], tmp_path: Path
) -> None:
    (tmp_path / "run/ensemble").mkdir(parents=True)
    (tmp_path / "run/ensemble/model.onnx").write_bytes(colour_model.read_bytes())
    file = exported(tmp_path / "run", tmp_path, "--precision", "fp16")
    detector = Detector(file)
    assert detector.card.name == "dark is text, fp16"
    assert 0 < detector.card.parity < 0.01
    np.testing.assert_allclose(
        detector.probability_map(page), Detector(colour_model).probability_map(page), atol=0.01
    )
    again = invoke("export", file, tmp_path / "again.onnx", "--precision", "fp16")
    assert "fewer bits than float32 already" in str(again.exception)


def test_int8_is_written_where_its_score_is_within_noise(
    colour_model: Path, page: NDArray[np.uint8], tmp_path: Path
) -> None:
    data = write_data(tmp_path / "data", page)
    file = tmp_path / "int8.onnx"
    words = ["export", colour_model, file, "--precision", "int8", "--data", data]
    result = invoke(*words)
    assert result.exit_code == 0, result.exception
    assert "within noise" in result.stderr
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(file).graph.node)


def test_int8_needs_pages(model: Path, tmp_path: Path) -> None:
    result = invoke("export", model, tmp_path / "m.onnx", "--precision", "int8")
    assert result.exit_code == 2 and "--data" in result.stderr


def test_what_is_no_model_is_refused(model: Path, tmp_path: Path) -> None:
    result = invoke("export", tmp_path, tmp_path / "m.onnx")
    assert isinstance(result.exception, ExportError)
    assert "holds none of ensemble/model.onnx" in str(result.exception)
    layout = exported(model, tmp_path, "--layout", "opencv")
    again = invoke("export", layout, tmp_path / "m.onnx")
    assert "has no card" in str(again.exception)
