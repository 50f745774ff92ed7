"""The real pipeline, through kfp.local: from pages and a sweep file to a model that finds text."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detector.choosing.promotion import Promotion
from detector.data.images import read_image
from detector.data.synthetic.drawing import draw_receipts
from detector.export.detector import Detector
from detector.steps.ensemble import Summary
from tests.tiny_run import SWEEP, overrides

DETSWEEP = Path(sys.executable).with_name("detsweep")


class Finished:
    """A run of the whole pipeline, and how to run it again."""

    def __init__(self, folder: Path):
        self.data, self.store, self.sweep = folder / "data", folder / "run", folder / "sweep.yaml"
        draw_receipts(self.data, train=9, held_out=3, seed=1)
        self.sweep.write_text(SWEEP)
        self.output = self.run().stdout

    def run(self) -> subprocess.CompletedProcess[str]:
        command = [DETSWEEP, "run", "--data", self.data, "--sweep", self.sweep, "--baseline", "0"]
        return subprocess.run(
            [*command, "--store", self.store, *overrides(epochs=2)],
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        )

    def summary(self) -> Summary:
        return Summary.from_json((self.store / "ensemble" / "summary.json").read_text())

    def trainings(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.store.rglob("metrics.jsonl")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return Finished(tmp_path_factory.mktemp("end-to-end"))


@pytest.mark.timeout(600)
def test_the_model_takes_a_page_and_gives_polygons(finished: Finished) -> None:
    page = next((finished.data / "val" / "images").iterdir())
    detections = Detector(Path(finished.summary().model))(read_image(page))
    for polygon in detections.polygons:
        assert np.asarray(polygon).shape[1] == 2


def test_every_trial_fold_and_candidate_is_in_the_summary(finished: Finished) -> None:
    summary = finished.summary()
    assert [trial.number for trial in summary.trials] == [0, 1]
    assert all(trial.value is not None for trial in summary.trials)
    assert [row.name for row in summary.folds] == ["fold 0", "fold 1"]
    assert summary.chosen in {row.name for row in summary.candidates}
    assert all(row.pages == 3 for row in summary.candidates)
    for word in summary.best.overrides:
        assert word in finished.output


def test_the_choices_are_told_with_their_reasons_and_intervals(finished: Finished) -> None:
    summary = finished.summary()
    assert any("best H-Mean" in reason for reason in summary.best.reasons)
    assert summary.out_of_fold.pages == sum(row.pages for row in summary.folds)
    for row in (*summary.folds, summary.out_of_fold, *summary.candidates):
        assert row.interval is not None
        assert row.interval[0] <= row.hmean <= row.interval[1]
    report = Path(summary.report).read_text()
    assert f"The model is {summary.chosen}" in report
    assert "all, out of fold" in report


def test_the_model_is_judged_by_the_baseline(finished: Finished) -> None:
    summary = finished.summary()
    stored = json.loads((finished.store / "ensemble/promotion.json").read_text())
    assert summary.promotion == Promotion.from_dict(stored)
    assert stored["baseline_hmean"] == 0
    assert summary.promotion.sentence()[:40] in finished.output


def test_the_run_store_has_the_layout_that_it_promises(finished: Finished) -> None:
    sweep = f"sweeps/{finished.summary().sweep_id}"
    for file in (
        f"{sweep}/sweep.yaml",
        f"{sweep}/report.html",
        f"{sweep}/best.yaml",
        f"{sweep}/trials/0/config.yaml",
        f"{sweep}/trials/1/best.ckpt",
        "folds/0/best.ckpt",
        "folds/1/last.ckpt",
        "ensemble/model.onnx",
        "ensemble/card.json",
        "ensemble/report.html",
        "ensemble/overlay.png",
    ):
        assert (finished.store / file).stat().st_size > 0, file
    assert json.loads((finished.store / "ensemble/card.json").read_text())


def test_fold_0_is_the_best_trial_and_is_not_trained_again(finished: Finished) -> None:
    summary = finished.summary()
    assert summary.reused_trial == summary.best.trial
    trial = finished.store / f"sweeps/{summary.sweep_id}/trials/{summary.best.trial}"
    fold = finished.store / "folds/0"
    assert (fold / "best.ckpt").read_bytes() == (trial / "best.ckpt").read_bytes()


@pytest.mark.timeout(300)
def test_a_finished_run_is_not_trained_again(finished: Finished) -> None:
    before, summary = finished.trainings(), finished.summary()
    again = finished.run().stdout
    assert "epoch 1/" not in again
    assert finished.trainings() == before
    assert finished.summary() == summary
