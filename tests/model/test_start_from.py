"""Weights to start from: a published detector's, made trainable, or a checkpoint's."""

import math
import shlex
from pathlib import Path

import onnx
import pytest
import torch

from detector.config.loading import load_config
from detector.config.schema import Config
from detector.data.synthetic.drawing import draw_receipt
from detector.detecting.inference import network_input
from detector.errors import ConfigError, ModelError, TrainingError
from detector.model.checkpoint import ModelCheckpoint
from detector.model.dbnet import DBNet
from detector.model.published import PPOCR_V4_MOBILE, require_init
from detector.model.starting import published_model, start_from

PUBLISHED_NETWORK = [
    "models.encoder.model_name=pp_lcnet_v3",
    "models.decoder.inner_channels=96",
    "data.mean=[0.406, 0.456, 0.485]",
    "data.std=[0.225, 0.224, 0.229]",
]


def config(*words: str) -> Config:
    return load_config(["preset=quickstart", *words])


@pytest.fixture(scope="module")
def published() -> Config:
    return config("models.init=ppocr_v4_mobile", *PUBLISHED_NETWORK)


@pytest.fixture(scope="module")
def started(published: Config) -> DBNet:
    network = DBNet(published.models, pretrained=False)
    start_from(published, network)
    return network.eval()


def test_without_a_name_the_weights_stay_as_they_were_drawn() -> None:
    torch.manual_seed(0)
    network = DBNet(config().models, pretrained=False)
    before = {name: weights.clone() for name, weights in network.state_dict().items()}
    assert start_from(config(), network) is None
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


def test_a_published_network_begins_with_its_outlines_and_less_sure_of_them(
    started: DBNet, published: Config
) -> None:
    picture = torch.from_numpy(network_input(draw_receipt(3, seed=5).image, published.data))
    original = published_model(PPOCR_V4_MOBILE, config(), "digest").build_model()
    with torch.inference_mode():
        logits, threshold_logits = started(picture)
        sure, _ = original(picture)
    assert float(sure.max()) > 20
    torch.testing.assert_close(logits, sure / 10, rtol=1e-4, atol=1e-3)
    thresholds = torch.sigmoid(threshold_logits)
    assert float(thresholds.median()) == pytest.approx(0.3, abs=0.1)
    assert float(thresholds.std()) > 0


def test_where_the_weights_come_from_is_said(published: Config) -> None:
    origin = start_from(published, DBNet(published.models, pretrained=False))
    assert origin is not None
    assert (origin.name, origin.licence, origin.source) == (
        "ppocr_v4_mobile",
        "Apache-2.0",
        "PaddleOCR",
    )
    assert len(origin.digest) == 64


def test_a_copy_of_the_published_file_is_taken_without_a_claim_of_its_licence(
    started: DBNet, tmp_path: Path
) -> None:
    file = tmp_path / "theirs.onnx"
    file.write_bytes(PPOCR_V4_MOBILE.require_file().read_bytes())
    from_file = config(f"models.init={file}", *PUBLISHED_NETWORK)
    network = DBNet(from_file.models, pretrained=False)
    origin = start_from(from_file, network)
    assert origin is not None
    assert (origin.name, origin.licence) == ("theirs.onnx", "unknown")
    torch.testing.assert_close(network.state_dict(), started.state_dict(), rtol=0, atol=0)


def test_a_configuration_of_another_network_is_refused_with_the_words_that_mend_it() -> None:
    other = config("models.init=ppocr_v4_mobile", *PUBLISHED_NETWORK[1:])
    with pytest.raises(ConfigError, match="another network") as refused:
        start_from(other, DBNet(other.models, pretrained=False))
    assert "set models.encoder.model_name=" in str(refused.value)
    assert "data.mean" not in str(refused.value)


def test_the_words_of_the_refusal_can_be_given_as_they_stand() -> None:
    other = config("models.init=ppocr_v4_mobile")
    with pytest.raises(ConfigError) as refused:
        start_from(other, DBNet(other.models, pretrained=False))
    words, _, _ = str(refused.value.remedy).removeprefix("set ").partition(", or take")
    mended = config("models.init=ppocr_v4_mobile", *shlex.split(words))
    assert start_from(mended, DBNet(mended.models, pretrained=False)) is not None
    assert mended.models.optimizer.scale_parameter, "or the first steps destroy the weights"


def saved(path: Path, trained: Config) -> DBNet:
    torch.manual_seed(7)
    network = DBNet(trained.models, pretrained=False)
    weights = network.state_dict()
    ModelCheckpoint(trained, weights, "digest", None, 3, {}).save(path)
    return network


def test_a_checkpoint_gives_its_weights(tmp_path: Path) -> None:
    before = saved(tmp_path / "best.ckpt", config())
    again = config(f"models.init={tmp_path / 'best.ckpt'}")
    network = DBNet(again.models, pretrained=False)
    origin = start_from(again, network)
    torch.testing.assert_close(network.state_dict(), before.state_dict(), rtol=0, atol=0)
    assert origin is not None
    assert (origin.name, origin.source) == ("best.ckpt", "detsweep")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_checkpoint_with_weights_that_are_not_finite_is_refused(
    number: float, tmp_path: Path
) -> None:
    weights = DBNet(config().models, pretrained=False).state_dict()
    name = next(reversed(weights))
    weights[name].view(-1)[-1] = number
    file = tmp_path / "best.ckpt"
    ModelCheckpoint(config(), weights, "digest", None, 3, {}).save(file)
    again = config(f"models.init={file}")
    with pytest.raises(ModelError, match=rf"best\.ckpt: {name} holds numbers that are not finite"):
        start_from(again, DBNet(again.models, pretrained=False))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_published_network_with_weights_that_are_not_finite_is_refused(
    number: float, tmp_path: Path
) -> None:
    graph = onnx.load(PPOCR_V4_MOBILE.require_file())
    constants = (node.attribute[0].t for node in graph.graph.node if node.op_type == "Constant")
    tensor = next(
        tensor
        for tensor in (*graph.graph.initializer, *constants)
        if len(tensor.dims) == 4 and tensor.data_type == onnx.TensorProto.FLOAT
    )
    weights = onnx.numpy_helper.to_array(tensor).copy()
    weights.flat[0] = number
    tensor.CopyFrom(onnx.numpy_helper.from_array(weights, tensor.name))
    onnx.save(graph, tmp_path / "theirs.onnx")
    from_file = config(f"models.init={tmp_path / 'theirs.onnx'}", *PUBLISHED_NETWORK)
    with pytest.raises(ConfigError, match=r"theirs\.onnx.*not finite"):
        start_from(from_file, DBNet(from_file.models, pretrained=False))


@pytest.mark.parametrize("content", [[1], "text", {}, {"config": 3}, {"config": {}, "x": 1}])
def test_a_file_of_other_things_is_no_checkpoint(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "best.ckpt")
    again = config(f"models.init={tmp_path / 'best.ckpt'}")
    with pytest.raises(TrainingError, match=r"best\.ckpt: not a checkpoint"):
        start_from(again, DBNet(again.models, pretrained=False))


def test_a_checkpoint_of_another_network_is_refused_with_the_words_that_mend_it(
    tmp_path: Path,
) -> None:
    saved(tmp_path / "best.ckpt", config("models.decoder.inner_channels=16"))
    other = config(f"models.init={tmp_path / 'best.ckpt'}")
    with pytest.raises(ConfigError, match="inner_channels=16"):
        start_from(other, DBNet(other.models, pretrained=False))


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").write_bytes(b"no checkpoint")
    broken = config(f"models.init={tmp_path / 'best.ckpt'}")
    with pytest.raises(TrainingError, match="cannot load"):
        start_from(broken, DBNet(broken.models, pretrained=False))


def test_a_name_that_is_neither_known_nor_a_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"models\.init: there is no file 'ppocr_v9'"):
        require_init("ppocr_v9")


def test_the_threshold_map_begins_where_the_paper_has_it_far_from_text(started: DBNet) -> None:
    bias = started.threshold.last.bias
    assert bias is not None
    assert float(bias.detach()[0]) == pytest.approx(math.log(0.3 / 0.7), abs=1e-6)
