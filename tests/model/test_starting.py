"""A published detector as a network of this package: it draws the map that its file draws."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession

from detector.config.loading import load_config
from detector.data.synthetic.drawing import draw_receipt
from detector.detecting.inference import network_input
from detector.ensemble.files import export_candidate
from detector.errors import ConfigError
from detector.export.onnx import MeanOfMaps
from detector.extras import MissingExtraError
from detector.model.checkpoint import ModelCheckpoint, load_tensors, save_tensors
from detector.model.dbnet import DBNet
from detector.model.published import PPOCR_V4_MOBILE
from detector.model.starting import as_published, published_model, read_pp_ocr

CONFIG = load_config(["preset=quickstart"])
PRESET = load_config(["preset=ppocr_v4_cpu"])


@pytest.mark.parametrize("surer", [1, 4])
def test_a_network_that_is_sure_of_itself_differs_by_rounding_alone(
    surer: int, tmp_path: Path
) -> None:
    """Between torch and its ONNX file: on some pages more than of a network of our own."""
    model = published_model(PPOCR_V4_MOBILE, PRESET, "digest")
    network = model.build_model()
    with torch.no_grad():
        for weights in network.probability.last.parameters():
            weights.mul_(surer)
    page = draw_receipt(3, seed=5).image
    exported = export_candidate("x", MeanOfMaps([network]).eval(), model, page, tmp_path)
    assert 1e-5 < exported.parity < 1e-3


@pytest.fixture(scope="module")
def model() -> ModelCheckpoint:
    return published_model(PPOCR_V4_MOBILE, CONFIG, "digest")


@pytest.mark.parametrize("side", [320, 512, 736])
def test_its_map_is_that_of_its_file(model: ModelCheckpoint, side: int) -> None:
    resize = CONFIG.data.resize.model_copy(update={"side": side})
    data = model.config.data.model_copy(update={"resize": resize})
    picture = network_input(draw_receipt(3, seed=5).image, data)
    file = PPOCR_V4_MOBILE.require_file()
    session = InferenceSession(file, providers=["CPUExecutionProvider"])
    # The file takes blue, green and red.
    (expected,) = session.run(None, {session.get_inputs()[0].name: picture[:, ::-1]})
    with torch.inference_mode():
        ours = model.build_model().probability_map(torch.from_numpy(picture)).numpy()
    theirs = np.asarray(expected)[:, 0]
    assert theirs.max() > 0.99
    apart = np.abs(ours - theirs)
    # Its logits reach hundreds: on the steep edges of text, float32 rounds to a few 1e-5.
    assert np.quantile(apart, 0.999) < 1e-5
    assert apart.max() < 1e-4


def test_every_part_of_it_can_be_trained(model: ModelCheckpoint) -> None:
    network = model.build_model().train()
    maps = network(torch.randn(1, 3, 64, 96))
    torch.autograd.backward(maps.probability_logits.mean() + maps.threshold_logits.mean())
    assert all(weight.grad is not None for weight in network.parameters())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_it_says_where_it_comes_from_and_keeps_it(model: ModelCheckpoint, tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    model.save(path)
    loaded = ModelCheckpoint.load(path)
    assert loaded.origin == model.origin
    assert loaded.origin is not None
    assert (loaded.origin.name, loaded.origin.licence) == ("ppocr_v4_mobile", "Apache-2.0")
    assert len(loaded.origin.digest) == 64
    assert loaded.config == as_published(CONFIG, PPOCR_V4_MOBILE)


def test_a_checkpoint_of_an_earlier_version_has_no_origin(
    model: ModelCheckpoint, tmp_path: Path
) -> None:
    path = tmp_path / "best.ckpt"
    model.save(path)
    content = load_tensors(path)
    del content["origin"]
    save_tensors(path, content)
    assert ModelCheckpoint.load(path).origin is None


def test_a_file_of_another_network_is_refused(model: ModelCheckpoint, tmp_path: Path) -> None:
    network = DBNet(model.config.models, pretrained=False)
    whole = onnx.load(PPOCR_V4_MOBILE.require_file())
    last = [n for n in whole.graph.node if n.op_type == "Conv"][-1]
    whole.graph.node.remove(last)
    onnx.save(whole, tmp_path / "less.onnx")
    with pytest.raises(ConfigError, match="87 layers in place of 88"):
        read_pp_ocr(tmp_path / "less.onnx", network)
    (tmp_path / "half.onnx").write_bytes(PPOCR_V4_MOBILE.require_file().read_bytes()[:90_000])
    with pytest.raises(ConfigError, match=r"half\.onnx: not a detector"):
        read_pp_ocr(tmp_path / "half.onnx", network)


def test_a_package_that_is_not_installed_is_named_by_its_extra() -> None:
    absent = replace(PPOCR_V4_MOBILE, places=(("no_such_package", "det.onnx"),))
    assert absent.file is None
    with pytest.raises(MissingExtraError, match=r"detsweep\[starter\]"):
        absent.require_file()
