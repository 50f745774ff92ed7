"""A training run: what it leaves behind, and that nothing can make it lose an epoch."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detector.choosing.pages import KeptEpoch
from detector.config.loading import apply_params, load_config
from detector.config.metrics import GOALS, METRIC
from detector.config.schema import Config
from detector.data.folds import Folds
from detector.errors import TrainingError
from detector.model.checkpoint import ModelCheckpoint, load_tensors
from detector.model.published import PPOCR_V4_MOBILE
from detector.model.starting import published_model
from detector.tracking.tracker import Outcome, Pictures
from detector.training.result import EpochMetrics
from detector.training.run import train
from detector.training.step import Stepper


def every_epoch(_: EpochMetrics) -> bool:
    return True


def weights(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_tensors(path)["model"]
    return found


def assert_same_weights(left: Path, right: Path) -> None:
    torch.testing.assert_close(weights(left), weights(right), rtol=0, atol=0)


def curve(folder: Path) -> list[dict[str, float]]:
    rows = [
        json.loads(line)
        for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def whole(tiny: Config, folds: Folds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    result = train(tiny, folds, 0, folder, every_epoch)
    assert (result.status, result.epochs) == ("finished", 3)
    return folder


def test_a_run_goes_on_from_the_weights_that_it_is_given_and_says_whose(
    whole: Path, tiny: Config, folds: Folds, tmp_path: Path
) -> None:
    given = {"models.init": str(whole / "best.ckpt"), "models.optimizer.lr": 1e-8}
    still = {**given, "models.scheduler.eta_min": 0.0, "trainer.ema_decay": 0.0}
    config = apply_params(tiny, {**still, "trainer.max_epochs": 1})
    kept = ModelCheckpoint.load(train(config, folds, 0, tmp_path, every_epoch).checkpoint)
    before = ModelCheckpoint.load(whole / "best.ckpt")
    learnt = {name for name, _ in before.build_model().named_parameters()}
    for name in learnt:
        torch.testing.assert_close(kept.weights[name], before.weights[name], rtol=1e-4, atol=1e-6)
    assert before.origin is None
    assert kept.origin is not None
    assert kept.origin.name == "best.ckpt"


def test_training_a_published_detector_further_does_not_forget_what_it_reads(
    folds: Folds, tmp_path: Path
) -> None:
    config = load_config(
        [
            "preset=ppocr_v4_cpu",
            "data.resize.side=640",
            "data.crop_size=256",
            "data.crops_per_page=8",
            "models.head.postprocess.box_thresh=0.3",
            "trainer.max_epochs=2",
            "models.scheduler.T_max=2",
        ]
    )
    result = train(config, folds, 0, tmp_path, every_epoch)
    before = published_model(PPOCR_V4_MOBILE, config, "digest").weights
    kept = ModelCheckpoint.load(result.checkpoint)
    assert result.kept_hmean > 0.95
    assert not torch.equal(kept.weights["encoder.stem.weight"], before["encoder.stem.weight"])
    assert kept.origin is not None
    assert kept.origin.name == "ppocr_v4_mobile"


def test_a_run_leaves_its_configuration_curve_and_best_model(whole: Path, tiny: Config) -> None:
    assert [row["epoch"] for row in curve(whole)] == [1, 2, 3]
    best = ModelCheckpoint.load(whole / "best.ckpt")
    assert best.config == tiny
    assert best.metrics.items() >= curve(whole)[best.epoch - 1].items()
    with torch.inference_mode():
        assert best.build_model().probability_map(torch.zeros(1, 3, 64, 64)).shape == (1, 64, 64)


def test_counts_of_the_epoch_that_is_kept_are_kept_page_by_page(whole: Path, folds: Folds) -> None:
    kept = KeptEpoch.from_json((whole / "pages.json").read_text(encoding="utf-8"))
    assert kept.epoch == ModelCheckpoint.load(whole / "best.ckpt").epoch
    assert list(kept.pages.counts) == [page.name for page in folds.validation(0)]
    assert kept.pages.total.hmean == curve(whole)[kept.epoch - 1]["val/hmean"]


def test_the_metrics_of_an_epoch_are_those_that_a_sweep_file_may_name(whole: Path) -> None:
    rows = [
        json.loads(line)
        for line in (whole / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert set(rows[0]) - {"epoch"} == set(GOALS)


def test_a_run_resumes_from_its_last_epoch_as_if_nothing_had_happened(
    whole: Path, tiny: Config, folds: Folds, tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    def die_after_the_first(metrics: EpochMetrics) -> bool:
        raise KilledError

    with pytest.raises(KilledError):
        train(tiny, folds, 0, tmp_path, die_after_the_first)
    reported: list[int] = []

    def report(metrics: EpochMetrics) -> bool:
        reported.append(metrics.epoch)
        return True

    train(tiny, folds, 0, tmp_path, report)
    assert reported == [1, 2, 3]
    assert curve(tmp_path) == curve(whole)
    assert_same_weights(tmp_path / "last.ckpt", whole / "last.ckpt")


def test_sigterm_saves_within_the_epoch_and_the_resumed_run_is_the_same(
    whole: Path, tiny: Config, folds: Folds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    step = Stepper.step

    def terminate_in_the_third(self: Stepper, *arguments: object) -> float:
        steps.append(1)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(Stepper, "step", terminate_in_the_third)
    assert train(tiny, folds, 0, tmp_path, every_epoch).status == "preempted"
    assert len(steps) == 3
    monkeypatch.undo()
    assert train(tiny, folds, 0, tmp_path, every_epoch).status == "finished"
    assert curve(tmp_path) == curve(whole)
    assert_same_weights(tmp_path / "last.ckpt", whole / "last.ckpt")


def test_a_training_that_is_asked_to_stop_after_its_last_epoch_is_finished(
    tiny: Config, folds: Folds, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = tiny.trainer.max_epochs
    result = train(tiny, folds, 0, tmp_path, lambda metrics: metrics.epoch < last)
    assert (result.status, result.epochs) == ("finished", last)
    capsys.readouterr()
    train(tiny, folds, 0, tmp_path, every_epoch)
    assert f"trained before: {last} epochs, all there are" in capsys.readouterr().out


class Remembering:
    """A tracker that remembers."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.pictures: list[dict[str, bytes]] = []
        self.more: list[object] = []

    def epoch(
        self, epoch: int, values: Mapping[str, float], pictures: Pictures | None = None
    ) -> None:
        assert METRIC in values
        self.epochs.append(epoch)
        if pictures is not None:
            self.pictures.append(dict(pictures()))

    def model(self, export: Callable[[], Path]) -> None:
        self.more.append(export)

    def end(self, outcome: Outcome) -> None:
        self.more.append(outcome)


def test_a_tracker_is_given_every_epoch_and_what_the_best_ones_find(
    tiny: Config, folds: Folds, tmp_path: Path
) -> None:
    tracker = Remembering()
    train(tiny, folds, 0, tmp_path, lambda metrics: metrics.epoch < 1, tracker)
    train(apply_params(tiny, {"tracker": "wandb"}), folds, 0, tmp_path, every_epoch, tracker)
    assert tracker.epochs == [1, 1, 2, 3], "a resumed training repeats what it had reported"
    assert tracker.more == [], "the caller ends the tracker"
    assert 1 <= len(tracker.pictures) <= 3
    shown = [page.name for page in folds.validation(0)][:4]
    assert list(tracker.pictures[0]) == shown
    jpeg = np.frombuffer(tracker.pictures[0][shown[0]], np.uint8)
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.any()


def test_a_finished_run_is_not_trained_again(
    whole: Path, tiny: Config, folds: Folds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stepper, "step", lambda *_: pytest.fail("it was trained again"))
    assert train(tiny, folds, 0, whole, every_epoch).status == "finished"


def test_the_caller_ends_a_run_early(tiny: Config, folds: Folds, tmp_path: Path) -> None:
    result = train(tiny, folds, 0, tmp_path, lambda metrics: metrics.epoch < 2)
    assert (result.status, result.epochs) == ("stopped", 2)


def test_a_folder_of_another_configuration_is_refused(
    whole: Path, tiny: Config, folds: Folds
) -> None:
    before = (whole / "config.yaml").read_bytes()
    with pytest.raises(TrainingError, match="another configuration"):
        train(apply_params(tiny, {"seed": 5}), folds, 0, whole, every_epoch)
    assert (whole / "config.yaml").read_bytes() == before


def test_a_loss_that_is_not_a_number_names_the_pages(
    tiny: Config, folds: Folds, tmp_path: Path
) -> None:
    params = {"models.loss.thresh_map_loss_weight": 1e39}
    with pytest.raises(TrainingError, match=r"pages train/images/.*the loss is (inf|nan)"):
        train(apply_params(tiny, params), folds, 0, tmp_path, every_epoch)


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """The folder of a finished training, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file"], ids=["empty", "cut"])
def test_a_damaged_checkpoint_heals_from_the_one_before(
    damage: bytes,
    copied: Path,
    whole: Path,
    tiny: Config,
    folds: Folds,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (copied / "last.ckpt").write_bytes(damage)
    assert train(tiny, folds, 0, copied, every_epoch).status == "finished"
    said = capsys.readouterr().out
    assert f"{copied / 'last.ckpt'} is damaged: going by the one before" in said
    assert "resumed after epoch 2" in said
    assert curve(copied) == curve(whole)
    assert_same_weights(copied / "last.ckpt", whole / "last.ckpt")


def test_a_training_none_of_whose_checkpoints_is_whole_begins_again(
    copied: Path, whole: Path, tiny: Config, folds: Folds
) -> None:
    for name in ("last.ckpt", ".previous.ckpt"):
        (copied / name).write_bytes(b"half a file")
    assert train(tiny, folds, 0, copied, every_epoch).status == "finished"
    assert_same_weights(copied / "last.ckpt", whole / "last.ckpt")


@pytest.mark.parametrize("name", ["best.ckpt", "pages.json"])
def test_a_training_that_lost_what_it_keeps_begins_again(
    name: str,
    copied: Path,
    whole: Path,
    tiny: Config,
    folds: Folds,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (copied / name).write_bytes(b"")
    assert train(tiny, folds, 0, copied, every_epoch).status == "finished"
    assert f"{copied / name} is missing or damaged: this training begins" in capsys.readouterr().out
    assert ModelCheckpoint.load(copied / "best.ckpt").epoch > 0
    assert_same_weights(copied / "last.ckpt", whole / "last.ckpt")
    assert (copied / "pages.json").read_bytes() == (whole / "pages.json").read_bytes()


def test_the_curve_and_the_configuration_are_written_again(
    copied: Path, whole: Path, tiny: Config, folds: Folds
) -> None:
    for name in ("metrics.jsonl", "config.yaml"):
        (copied / name).write_bytes(b"{")
    train(tiny, folds, 0, copied, every_epoch)
    for name in ("metrics.jsonl", "config.yaml"):
        assert (copied / name).read_bytes() == (whole / name).read_bytes()


def test_a_disk_that_refuses_a_checkpoint_says_nothing_of_it(
    copied: Path, tiny: Config, folds: Folds
) -> None:
    (copied / "last.ckpt").unlink()
    (copied / "last.ckpt").mkdir()
    with pytest.raises(TrainingError, match="cannot load the checkpoint"):
        train(tiny, folds, 0, copied, every_epoch)
