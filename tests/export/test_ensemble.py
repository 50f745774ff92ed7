"""From checkpoints to one ONNX file: it agrees with torch at any shape and knows how to be used."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from detector.data.folds import Folds
from detector.data.images import read_image
from detector.engines import Engine, open_engine
from detector.ensemble import EnsembleResult, build_ensemble
from detector.errors import DataError, ExportError
from detector.export.card import Card
from detector.export.onnx import MeanOfMaps, export_onnx, measure_parity
from detector.model.dbnet import DBNet
from detector.predict import Detector
from detector.training import ModelCheckpoint


@pytest.fixture(scope="module")
def built(
    checkpoints: dict[str, Path], folds: Folds, tmp_path_factory: pytest.TempPathFactory
) -> EnsembleResult:
    return build_ensemble(checkpoints, folds.held_out, tmp_path_factory.mktemp("ensemble"))


def networks(checkpoints: dict[str, Path]) -> list[DBNet]:
    return [ModelCheckpoint.load(path).build_model() for path in checkpoints.values()]


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 160), (2, 352, 96)])
def test_the_file_is_the_mean_of_the_maps_at_any_batch_and_size(
    built: EnsembleResult,
    checkpoints: dict[str, Path],
    shape: tuple[int, int, int],
    engine: Engine,
) -> None:
    pytest.importorskip(engine.value)
    batch, height, width = shape
    images = np.random.default_rng(0).normal(size=(batch, 3, height, width)).astype(np.float32)
    with torch.inference_mode():
        maps = [n.probability_map(torch.from_numpy(images)) for n in networks(checkpoints)]
    expected = torch.stack(maps).mean(0).numpy()
    found = open_engine(built.model, engine)(images)
    assert found.shape == shape
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_measured_parity_is_that_of_rounding(built: EnsembleResult) -> None:
    assert 0 < built.parity <= 1e-4


def test_every_fold_and_the_ensemble_are_measured(built: EnsembleResult) -> None:
    assert [score.name for score in built.candidates] == ["fold 0", "fold 1", "mean of maps"]
    assert built.chosen == "mean of maps"
    assert all(score.ms_per_page > 0 for score in built.candidates)


def test_the_card_travels_inside_and_beside_the_file(
    built: EnsembleResult, checkpoints: dict[str, Path]
) -> None:
    config = ModelCheckpoint.load(checkpoints["fold 0"]).config
    inside = Detector.load(built.model).card
    assert inside == Card.from_json((built.model.parent / "card.json").read_text())
    assert inside.resize_rule() == config.data.resize
    assert inside.postprocess_settings() == config.models.head.postprocess
    assert inside.parity == built.parity
    onnx.checker.check_model(built.model)


def test_a_detector_finds_what_the_file_says_in_the_images_own_pixels(
    built: EnsembleResult, folds: Folds
) -> None:
    image = read_image(folds.held_out[0].image)
    height, width = image.shape[:2]
    for polygon in Detector.load(built.model).detect(image).polygons:
        assert polygon.min() >= 0
        assert polygon.max(axis=0)[0] <= width
        assert polygon.max(axis=0)[1] <= height


def test_a_file_that_differs_from_its_source_is_refused(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    one, other = networks(checkpoints)
    export_onnx(MeanOfMaps([one]), tmp_path / "model.onnx")
    page = np.random.default_rng(0).normal(size=(1, 3, 128, 128)).astype(np.float32)
    with pytest.raises(ExportError, match="differs from the network's"):
        measure_parity(MeanOfMaps([other]).eval(), tmp_path / "model.onnx", page)


def test_folds_that_prepare_their_input_differently_are_refused(
    checkpoints: dict[str, Path], folds: Folds, tmp_path: Path
) -> None:
    first = ModelCheckpoint.load(checkpoints["fold 0"])
    data = first.config.data.model_copy(update={"mean": (0.0, 0.0, 0.0)})
    config = first.config.model_copy(update={"data": data})
    ModelCheckpoint(**{**vars(first), "config": config}).save(tmp_path / "other.ckpt")
    mixed = {**checkpoints, "fold 1": tmp_path / "other.ckpt"}
    with pytest.raises(DataError, match="prepare their input differently"):
        build_ensemble(mixed, folds.held_out, tmp_path)


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model_is_refused(content: bytes, engine: Engine, tmp_path: Path) -> None:
    pytest.importorskip(engine.value)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ExportError, match="cannot load the model"):
        Detector.load(tmp_path / "model.onnx", engine)


def test_an_engine_that_is_not_installed_is_named(
    built: EnsembleResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ExportError, match=r"detsweep\[openvino\]"):
        Detector.load(built.model, Engine.OPENVINO)


def test_a_model_without_a_card_is_refused(built: EnsembleResult, tmp_path: Path) -> None:
    model = onnx.load(built.model)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(ExportError, match="no card"):
        Detector.load(tmp_path / "bare.onnx")
