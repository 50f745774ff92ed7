"""From checkpoints to one ONNX file: it agrees with torch at any shape and knows how to be used."""

import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml
from numpy.typing import NDArray

from detector.choosing.bootstrap import Interval
from detector.config.loading import config_from_tree
from detector.data.folds import Folds
from detector.data.images import read_image
from detector.data.page import Page
from detector.detecting.consensus import agree
from detector.detecting.inference import detect_text, network_input
from detector.ensemble.build import EnsembleResult, build_ensemble
from detector.ensemble.files import export_candidate
from detector.ensemble.measure import by_kind
from detector.ensemble.networks import average_weights, candidate_networks
from detector.errors import ConfigError, DataError, ExportError
from detector.evaluation.scoring import score_pages
from detector.export.bits import Precision
from detector.export.card import Card
from detector.export.detector import Detector
from detector.export.engine import Engine
from detector.export.engines import has_bf16, open_engine
from detector.export.markdown import card_as_markdown
from detector.export.model import Model
from detector.export.onnx import AllMaps, MeanOfMaps, export_onnx, measure_parity
from detector.export.revision import code_revision
from detector.model.checkpoint import ModelCheckpoint
from detector.model.dbnet import DBNet
from detector.model.published import PPOCR_V4_MOBILE


@pytest.fixture(scope="module")
def built(
    checkpoints: dict[str, Path], folds: Folds, tmp_path_factory: pytest.TempPathFactory
) -> EnsembleResult:
    out = tmp_path_factory.mktemp("ensemble")
    return build_ensemble(checkpoints, folds, left_out(folds), out, prefer="mean of maps")


def left_out(folds: Folds) -> dict[str, list[Page]]:
    return {f"fold {k}": folds.validation(k) for k in (0, 1)}


def known(value: float | None) -> float:
    """A score that was measured."""
    assert value is not None
    return value


EXACT = [Engine.ONNXRUNTIME, Engine.OPENVINO]
"""The engines that compute in float32."""


def networks(checkpoints: dict[str, Path]) -> list[DBNet]:
    return [ModelCheckpoint.load(path).build_model() for path in checkpoints.values()]


@pytest.mark.parametrize("engine", EXACT)
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


def test_bfloat16_is_near_where_the_processor_has_it_and_refused_elsewhere(
    built: EnsembleResult,
) -> None:
    pytest.importorskip("openvino")
    if not has_bf16():
        with pytest.raises(ExportError, match="no bfloat16"):
            open_engine(built.model, Engine.OPENVINO_BF16)
        return
    images = np.random.default_rng(0).normal(size=(1, 3, 96, 160)).astype(np.float32)
    expected, found = (open_engine(built.model, e)(images) for e in list(Engine)[1:])
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_the_measured_parity_is_that_of_rounding(built: EnsembleResult) -> None:
    assert 0 < built.parity <= 1e-4


def test_every_fold_and_the_ensemble_are_measured(built: EnsembleResult) -> None:
    names = ["fold 0", "fold 1", "mean of weights", "mean of maps", "consensus of boxes"]
    assert [score.name for score in built.choice.candidates][: len(names)] == names
    for row in built.choice.candidates:
        assert known(row.ms_per_page) > 0
        assert known(row.low) <= known(row.hmean) <= known(row.high)


def test_what_is_within_noise_of_the_best_is_measured_with_fewer_bits_too(
    built: EnsembleResult,
) -> None:
    scores = {score.name: score for score in built.choice.candidates}
    reduced = [name.removesuffix(", fp16") for name in scores if name.endswith(", fp16")]
    highest = max(known(s.hmean) for name, s in scores.items() if "," not in name)
    assert highest in [scores[name].hmean for name in reduced]
    for name in reduced:
        full, half, quarter = (scores[n] for n in (name, f"{name}, fp16", f"{name}, int8"))
        assert known(quarter.megabytes) < known(half.megabytes) < 0.7 * known(full.megabytes)
        assert 0 < known(half.parity) < 0.01
        assert known(half.parity) < known(quarter.parity) < 0.5


def test_the_consensus_is_what_its_networks_agree_on(
    built: EnsembleResult, checkpoints: dict[str, Path], folds: Folds, tmp_path: Path
) -> None:
    card = replace(Detector(built.model).card, maps=2)
    image = read_image(folds.held_out[0].image)
    model = ModelCheckpoint.load(checkpoints["fold 0"])
    picture = network_input(image, model.config.data)
    all_maps = AllMaps(networks(checkpoints)).eval()
    file = export_candidate("consensus of boxes", all_maps, model, image, tmp_path)
    Model.write(file.path, card)
    detector = Detector(file.path)
    with torch.inference_mode():
        maps = [n.probability_map(torch.from_numpy(picture)) for n in networks(checkpoints)]
    np.testing.assert_allclose(detector.network(picture), torch.stack(maps, dim=1), atol=1e-4)

    def map_of(k: int, padded: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(detector.probability_map(padded)[k])

    of_each = [
        detect_text(
            image,
            partial(map_of, k),
            card.resize_rule(),
            card.postprocess_settings(),
        )
        for k in range(2)
    ]
    expected, found = agree(of_each), detector(image)
    np.testing.assert_array_equal(found.scores, expected.scores)
    for outline, other in zip(found.polygons, expected.polygons, strict=True):
        np.testing.assert_array_equal(outline, other)
    assert "more than half of them" in card_as_markdown(card)
    assert "more than half of them" not in card_as_markdown(replace(card, maps=1))


@pytest.fixture(scope="module", params=[Precision.FLOAT16, Precision.INT8])
def reduced(
    request: pytest.FixtureRequest,
    checkpoints: dict[str, Path],
    folds: Folds,
    tmp_path_factory: pytest.TempPathFactory,
) -> EnsembleResult:
    one = {"fold 1": checkpoints["fold 1"]}
    out = tmp_path_factory.mktemp(request.param)
    return build_ensemble(one, folds, left_out(folds), out, f"fold 1, {request.param}")


@pytest.mark.parametrize("engine", EXACT)
def test_fewer_bits_asked_for_by_name_are_the_model(
    reduced: EnsembleResult, checkpoints: dict[str, Path], folds: Folds, engine: Engine
) -> None:
    pytest.importorskip(engine.value)
    detector = Detector(reduced.model, engine)
    assert detector.card.name == reduced.choice.chosen
    model = ModelCheckpoint.load(checkpoints["fold 1"])
    picture = network_input(read_image(folds.held_out[0].image), model.config.data)
    with torch.inference_mode():
        exact = model.build_model().probability_map(torch.from_numpy(picture)).numpy()
    assert 0 < np.abs(detector.network(picture) - exact).mean() < 0.02


def test_what_has_as_many_networks_and_bits_is_equally_fast() -> None:
    rounds = {
        "fold 0": [70.0, 60.0, 300.0],
        "fold 1": [62.0, 64.0, 61.0],
        "fold 1, int8": [40.0, 41.0, 42.0],
        "mean of maps": [130.0, 131.0, 129.0],
    }
    kinds = {
        "fold 0": (1, Precision.FLOAT32),
        "fold 1": (1, Precision.FLOAT32),
        "fold 1, int8": (1, Precision.INT8),
        "mean of maps": (2, Precision.FLOAT32),
    }
    singles = [*rounds["fold 0"], *rounds["fold 1"]]
    assert by_kind(rounds, kinds) == {**rounds, "fold 0": singles, "fold 1": singles}


def test_times_of_the_table_are_those_that_the_choice_went_by(reduced: EnsembleResult) -> None:
    """The reason's words and the table's cells come from one number."""
    rows = {row.name: row for row in reduced.choice.candidates}
    said = re.search(r"it takes (\d+) ms a page, (.+?) takes (\d+);", reduced.choice.reason)
    if said:
        assert said[1] == f"{rows[reduced.choice.chosen].ms_per_page:.0f}"
        assert said[3] == f"{rows[said[2]].ms_per_page:.0f}"
    singles = [row.ms_per_page for row in rows.values() if row.name in {"fold 0", "fold 1"}]
    assert len(set(singles)) == 1
    for row in rows.values():
        assert known(row.ms_low) <= known(row.ms_per_page) <= known(row.ms_high)


def test_the_model_has_the_thresholds_that_it_was_measured_with(built: EnsembleResult) -> None:
    assert Detector(built.model).card.postprocess_settings() == built.tuned.postprocess


def test_weights_are_averaged_from_the_best_on(checkpoints: dict[str, Path], folds: Folds) -> None:
    worse, better = (ModelCheckpoint.load(path) for path in checkpoints.values())
    models = {
        "a": replace(worse, metrics={"val/hmean": 0.1}),
        "b": replace(better, metrics={"val/hmean": 0.9}),
        "c": replace(better, metrics={"val/hmean": 0.8}),
    }
    candidates = dict(candidate_networks(models, folds.training(None)))
    means = ["mean of weights, best 2", "mean of weights", "mean of maps"]
    assert list(candidates) == ["a", "b", "c", *means, "consensus of boxes"]
    # Those of b and c, whose weights are the same.
    of_two = candidates["mean of weights, best 2"].networks[0].state_dict()
    for name, weight in better.weights.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(of_two[name], weight)


def test_the_choice_has_its_reason_and_its_pages(built: EnsembleResult, folds: Folds) -> None:
    assert (built.choice.chosen, built.choice.reason) == (
        "mean of maps",
        "it was asked for by name",
    )
    assert set(built.pages.counts) == {page.name for page in folds.held_out}


def test_a_candidate_that_is_not_there_is_refused_with_those_that_are(
    checkpoints: dict[str, Path], folds: Folds, tmp_path: Path
) -> None:
    one = {"fold 0": checkpoints["fold 0"]}
    with pytest.raises(ConfigError, match=r"balance, accuracy, speed, 'fold 0'"):
        build_ensemble(one, folds, left_out(folds), tmp_path, prefer="fold 7")
    assert list(tmp_path.iterdir()) == []


def test_the_mean_of_equal_weights_is_the_network_with_statistics_of_the_pages(
    checkpoints: dict[str, Path], folds: Folds
) -> None:
    model = ModelCheckpoint.load(checkpoints["fold 0"])
    averaged = average_weights([model, model], folds.training(None)).state_dict()
    for name, tensor in model.weights.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(averaged[name], tensor)
    assert any(
        not torch.allclose(averaged[name], tensor)
        for name, tensor in model.weights.items()
        if "running_mean" in name
    )


def test_the_card_travels_inside_the_file(
    built: EnsembleResult, checkpoints: dict[str, Path]
) -> None:
    config = ModelCheckpoint.load(checkpoints["fold 0"]).config
    inside = Detector(built.model).card
    assert inside == Card.from_json(inside.to_json())
    assert inside.resize_rule() == config.data.resize
    assert inside.postprocess_settings() == config.models.head.postprocess
    assert inside.parity == built.parity
    onnx.checker.check_model(built.model)


@pytest.fixture(scope="module")
def eager(built: EnsembleResult, folds: Folds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with thresholds at which it finds text, however little it has learnt."""
    model = tmp_path_factory.mktemp("eager") / "model.onnx"
    model.write_bytes(built.model.read_bytes())
    detector = Detector(model)
    card, data = detector.card, config_from_tree(detector.card.config).data
    picture = network_input(read_image(folds.held_out[0].image), data)
    usual = float(np.quantile(detector.network(picture), 0.9))
    low = {"thresh": usual, "box_thresh": usual / 2}
    Model.write(model, replace(card, postprocess={**card.postprocess, **low}))
    return model


def test_a_detector_finds_what_the_file_says_in_the_images_own_pixels(
    eager: Path, folds: Folds
) -> None:
    image = read_image(folds.held_out[0].image)
    height, width = image.shape[:2]
    found = Detector(eager)(image)
    assert len(found) > 0
    for polygon in found.polygons:
        assert polygon.min() >= 0
        assert polygon.max(axis=0)[0] <= width
        assert polygon.max(axis=0)[1] <= height


def test_a_detector_takes_a_file_or_its_pixels_and_gives_one_outline_after_the_other(
    eager: Path, folds: Folds
) -> None:
    detector, page = Detector(str(eager)), folds.held_out[0].image
    found = detector(page)
    assert len(found) > 0
    for outline, again, points, score in zip(
        found, detector(read_image(page)), found.polygons, found.scores, strict=True
    ):
        assert outline.points.dtype == np.float32
        assert outline.points.shape == (4, 2)
        np.testing.assert_array_equal(outline.points, points)
        np.testing.assert_array_equal(outline.points, again.points)
        assert outline.score == score == again.score
        assert 0 < outline.score <= 1


@pytest.mark.parametrize(
    ("shape", "dtype"), [((64, 64), "uint8"), ((64, 64, 4), "uint8"), ((64, 64, 3), "float32")]
)
def test_an_array_that_is_no_rgb_image_is_refused(
    built: EnsembleResult, shape: tuple[int, ...], dtype: str
) -> None:
    with pytest.raises(DataError, match=f"type {dtype}") as caught:
        Detector(built.model)(np.zeros(shape, dtype))
    assert "uint8 array in RGB" in str(caught.value)


def test_an_image_file_that_is_not_there_is_named(built: EnsembleResult) -> None:
    with pytest.raises(DataError, match=r"nowhere\.jpg"):
        Detector(built.model)("nowhere.jpg")


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
        build_ensemble(mixed, folds, left_out(folds), tmp_path)


@pytest.mark.parametrize("engine", EXACT)
@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model_is_refused(content: bytes, engine: Engine, tmp_path: Path) -> None:
    pytest.importorskip(engine.value)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ExportError, match="cannot be read as an ONNX file"):
        Detector(tmp_path / "model.onnx", engine)
    with pytest.raises(ExportError, match="cannot load the model"):
        open_engine(tmp_path / "model.onnx", engine)


def test_an_engine_that_is_not_installed_is_named(
    built: EnsembleResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ExportError, match=r"detsweep\[openvino\]"):
        Detector(built.model, Engine.OPENVINO)


def test_the_card_is_a_page_that_a_registry_reads(built: EnsembleResult) -> None:
    text = (built.model.parent / "card.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["license"] == "apache-2.0"
    (result,) = metadata["model-index"][0]["results"]
    chosen = next(score for score in built.choice.candidates if score.name == built.choice.chosen)
    metrics = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert metrics["hmean"] == round(known(chosen.hmean), 4)
    assert f"Binarise at {built.tuned.postprocess.thresh}" in body
    assert "| CLEval H-Mean |" in body


def test_the_revision_of_the_code_is_in_the_card(
    built: EnsembleResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_REVISION", "abc123")
    assert code_revision() == "abc123"
    monkeypatch.delenv("DETSWEEP_REVISION")
    assert Detector(built.model).card.revision == code_revision()


def test_a_model_without_a_card_is_refused(built: EnsembleResult, tmp_path: Path) -> None:
    model = onnx.load(built.model)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(ExportError, match="no card"):
        Detector(tmp_path / "bare.onnx")


@pytest.fixture(scope="module")
def with_public(
    checkpoints: dict[str, Path], folds: Folds, tmp_path_factory: pytest.TempPathFactory
) -> EnsembleResult:
    """One fold, which has learnt next to nothing, beside a detector of others."""
    one = {"fold 1": checkpoints["fold 1"]}
    out = tmp_path_factory.mktemp("public")
    return build_ensemble(one, folds, left_out(folds), out, "accuracy", PPOCR_V4_MOBILE)


def test_a_detector_of_others_is_a_candidate_as_it_is(with_public: EnsembleResult) -> None:
    choice = with_public.choice
    rows = {row.name: row for row in choice.candidates}
    public = rows["ppocr_v4_mobile, untrained"]
    assert known(public.hmean) > known(rows["fold 1"].hmean)
    assert choice.chosen.startswith("ppocr_v4_mobile, untrained")
    assert choice.public is not None
    assert choice.public.baseline_hmean == pytest.approx(known(public.hmean))
    assert choice.beside_public == (
        "The model is ppocr_v4_mobile, untrained: as others trained it, on none of these pages."
    )


def test_the_model_that_others_trained_is_prepared_its_own_way(
    with_public: EnsembleResult, folds: Folds
) -> None:
    detector = Detector(with_public.model)
    card = detector.card
    assert card.name == with_public.choice.chosen
    assert card.mean == PPOCR_V4_MOBILE.mean
    assert card.origin is not None
    assert (card.origin["name"], card.origin["licence"]) == ("ppocr_v4_mobile", "Apache-2.0")
    assert card.postprocess_settings() == with_public.tuned.postprocess
    digest = card.origin["digest"]
    assert card.started_from == (
        f"ppocr_v4_mobile, trained by PaddleOCR; Apache-2.0; SHA-256 {digest}"
    )
    assert card.started_from in card_as_markdown(card)
    again = score_pages(folds.held_out, detector, card.max_pixels())
    assert again.cleval.hmean == pytest.approx(known(with_public.choice.row.hmean), abs=1e-3)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (Interval(0.02, 0.01, 0.03), "Better than"),
        (Interval(-0.02, -0.03, -0.01), "Worse than"),
        (Interval(0.001, -0.01, 0.01), "As good as"),
    ],
)
def test_the_model_is_compared_with_the_detector_of_others(
    with_public: EnsembleResult, gain: Interval, said: str
) -> None:
    assert with_public.choice.public is not None
    public = replace(with_public.choice.public, gain=gain)
    choice = replace(with_public.choice, chosen="fold 1", public=public)
    assert choice.beside_public.startswith(f"{said} ppocr_v4_mobile, untrained")
    assert choice.is_worse_than_public == (said == "Worse than")
    assert f"against {known(public.baseline_hmean):.4f}, IoU H-Mean" in choice.beside_public


def test_without_a_detector_of_others_the_extra_is_named(built: EnsembleResult) -> None:
    assert "pip install 'detsweep[starter]'" in built.choice.beside_public
