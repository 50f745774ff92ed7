"""Pages without labels get those of a model, once, and none of them is a page of the data set."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.config.loading import load_config
from detector.config.schema import Config, PostprocessConfig
from detector.data.folds import Folds
from detector.data.images import read_image
from detector.data.synthetic.drawing import draw_receipts
from detector.ensemble.single import export_training
from detector.errors import ConfigError, DataError, ExportError
from detector.export.detector import Detector
from detector.export.model import Model
from detector.export.teacher import with_taught_pages
from detector.training.run import train


@pytest.fixture(scope="module")
def teacher(
    checkpoints: dict[str, Path], folds: Folds, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    file = tmp_path_factory.mktemp("teacher") / "model.onnx"
    export_training(checkpoints["fold 0"], folds.held_out[0], file)
    return finding(file, more_than=0.1)


def finding(model: Path, more_than: float) -> Path:
    """The same model with other thresholds: a network of a few steps is sure of nothing."""
    sure = PostprocessConfig(thresh=more_than, box_thresh=0, unclip_ratio=0.5)
    Model.write(model, replace(Model(model).card, postprocess=sure.model_dump()))
    return model


@pytest.fixture
def unlabelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DETSWEEP_CACHE", str(tmp_path / "cache"))
    draw_receipts(tmp_path / "drawn", train=3, held_out=1, seed=77)
    images = tmp_path / "scans"
    shutil.copytree(tmp_path / "drawn" / "train" / "images", images / "monday")
    return images


def learning_from(unlabelled: Path, teacher: Path) -> Config:
    return load_config(
        ["preset=quickstart", f"data.unlabelled={unlabelled}", f"models.teacher={teacher}"]
    )


def test_pages_have_what_the_teacher_finds(unlabelled: Path, teacher: Path, folds: Folds) -> None:
    taught = with_taught_pages(learning_from(unlabelled, teacher), folds).taught
    files = sorted((unlabelled / "monday").iterdir())
    assert [page.image for page in taught] == files
    assert taught[0].name == f"unlabelled/monday/{files[0].name}"
    detect = Detector(teacher)
    for page in taught:
        found = detect(read_image(page.image)).polygons
        assert found and len(found) == len(page.boxes)
        for polygon, box in zip(found, page.boxes, strict=True):
            np.testing.assert_allclose(box.points, polygon)


def test_what_was_found_once_is_kept_by_the_page_and_the_teacher(
    unlabelled: Path, teacher: Path, folds: Folds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = learning_from(unlabelled, teacher)
    before = with_taught_pages(config, folds)
    other = finding(Path(shutil.copy(teacher, tmp_path)), more_than=0.11)
    monkeypatch.setattr("detector.export.detector.Detector", None)
    after = with_taught_pages(config, folds)
    assert after.digest() == before.digest() != folds.digest() == folds.manifest.digest()
    with pytest.raises(TypeError):  # It would have to look.
        with_taught_pages(learning_from(unlabelled, other), folds)
    (unlabelled / "one.jpg").write_bytes(
        next((tmp_path / "drawn/val/images").iterdir()).read_bytes()
    )
    with pytest.raises(TypeError):  # There is a page that nothing was found on yet.
        with_taught_pages(config, folds)


def test_pages_of_the_data_set_and_copies_are_left_out(
    unlabelled: Path, teacher: Path, folds: Folds
) -> None:
    shutil.copy(folds.held_out[0].image, unlabelled / "again.jpg")
    first = next((unlabelled / "monday").iterdir())
    shutil.copy(first, unlabelled / f"copy{first.suffix}")
    taught = with_taught_pages(learning_from(unlabelled, teacher), folds).taught
    assert len(taught) == 3


def test_a_damaged_image_is_left_out_and_named(
    unlabelled: Path, teacher: Path, folds: Folds, capsys: pytest.CaptureFixture[str]
) -> None:
    (unlabelled / "cut.jpg").write_bytes(b"not an image")
    taught = with_taught_pages(learning_from(unlabelled, teacher), folds).taught
    assert len(taught) == 3
    assert "cut.jpg" in capsys.readouterr().out


def test_without_other_images_there_is_nothing_to_learn_from(
    tmp_path: Path, teacher: Path, folds: Folds
) -> None:
    with pytest.raises(DataError, match="no image") as caught:
        with_taught_pages(learning_from(tmp_path, teacher), folds)
    assert "data.unlabelled" in str(caught.value)
    shutil.copy(folds.held_out[0].image, tmp_path / "again.jpg")
    with pytest.raises(DataError, match="not of the data set too"):
        with_taught_pages(learning_from(tmp_path, teacher), folds)


def test_a_teacher_that_finds_nothing_teaches_nothing(
    unlabelled: Path, teacher: Path, folds: Folds, tmp_path: Path
) -> None:
    blind = finding(Path(shutil.copy(teacher, tmp_path)), more_than=0.999)
    with pytest.raises(DataError, match="finds no text"):
        with_taught_pages(learning_from(unlabelled, blind), folds)


def test_a_teacher_is_a_model_with_a_card(unlabelled: Path, folds: Folds, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be read"):
        with_taught_pages(learning_from(unlabelled, tmp_path / "none.onnx"), folds)


@pytest.mark.parametrize("word", ["data.unlabelled=scans", "models.teacher=model.onnx"])
def test_neither_goes_without_the_other(word: str) -> None:
    with pytest.raises(ConfigError, match="go together"):
        load_config([word])


def test_a_training_learns_from_them_and_notices_when_they_change(
    unlabelled: Path, teacher: Path, folds: Folds, tmp_path: Path
) -> None:
    words = [
        "preset=quickstart",
        "data.resize.side=128",
        "data.crop_size=64",
        "data.batch_size=1",
        "data.crops_per_page=1",
        "models.encoder.model_name=mobilenetv3_small_050",
        "models.decoder.inner_channels=16",
        "trainer.max_epochs=1",
    ]
    config = load_config([*words, f"data.unlabelled={unlabelled}", f"models.teacher={teacher}"])
    labelled = len(folds.training(0))
    steps: list[int] = []
    with_more = with_taught_pages(config, folds)
    train(
        config,
        with_more,
        0,
        tmp_path / "run",
        lambda _: True,
        on_step=lambda _epoch, _done, of: steps.append(of),
    )
    assert set(steps) == {labelled + min(labelled, 3)}
