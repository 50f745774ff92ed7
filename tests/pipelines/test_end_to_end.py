"""The real pipeline, through kfp.local: from pages and a sweep file to a model that finds text."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from detector.data.images import read_image
from detector.data.synthetic.drawing import draw_receipts
from detector.ensemble.outcome import EnsembleOutcome
from detector.export.detector import Detector
from detector.steps.forecasting import RunUnderWay
from detector.steps.run import Run
from detector.sweep.outcome import SweepOutcome
from tests.tiny_run import SWEEP, overrides

DETSWEEP = Path(sys.executable).with_name("detsweep")


class Finished:
    """A run of the whole pipeline, and how to run it again."""

    def __init__(self, folder: Path):
        self.data, self.store, self.sweep = folder / "data", folder / "run", folder / "sweep.yaml"
        draw_receipts(self.data, train=9, held_out=3, seed=1)
        self.sweep.write_text(SWEEP, encoding="utf-8")
        self.output = self.run_again().stdout

    def run_again(self) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [
            DETSWEEP,
            "run",
            "--data",
            self.data,
            "--sweep",
            self.sweep,
            "--baseline",
            "0",
        ]
        return subprocess.run(
            [*command, "--store", str(self.store), *overrides(epochs=2)],
            check=True,
            encoding="utf-8",
            stdout=subprocess.PIPE,
        )

    @property
    def run(self) -> Run:
        return Run(str(self.store))

    @property
    def sweep_outcome(self) -> SweepOutcome:
        return self.run.outcome

    @property
    def outcome(self) -> EnsembleOutcome:
        return self.run.ensemble.outcome

    def trainings(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.store.rglob("snapshots/*/*.json")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return Finished(tmp_path_factory.mktemp("end-to-end"))


@pytest.mark.timeout(600)
def test_the_model_takes_a_page_and_gives_polygons(finished: Finished) -> None:
    page = next((finished.data / "val" / "images").iterdir())
    found = Detector(finished.run.ensemble.model_url)(read_image(page))
    for polygon in found.polygons:
        assert np.asarray(polygon).shape[1] == 2


def test_the_next_commands_work_as_printed_in_any_folder(
    finished: Finished, tmp_path: Path
) -> None:
    commands = finished.output.splitlines()[-3:]
    assert [shlex.split(command)[1] for command in commands] == ["predict", "evaluate", "errors"]
    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
    assert list((tmp_path / "found").glob("*.png"))
    assert (tmp_path / "mistakes" / "errors.json").is_file()


def test_what_is_left_of_a_run_is_foretold_by_its_epochs(
    finished: Finished, tmp_path: Path
) -> None:
    store = tmp_path / "run"
    shutil.copytree(finished.store, store)
    run, backend = Run(str(store)), f"sqlite:///{store}/sweep.db"
    times = iter([100.0, 100.0, 100.5, 10_000.0])
    under_way = RunUnderWay(run, backend, 2, clock=lambda: next(times))
    at_the_end, later, overdue = (under_way.forecast() for _ in range(3))
    assert at_the_end is not None and later is not None and overdue is not None
    assert (at_the_end.sweep, at_the_end.folds, at_the_end.running) == (0, 0, ())
    assert at_the_end.ensemble > 0.5
    assert later.ensemble == pytest.approx(at_the_end.ensemble - 0.5)
    assert overdue.total == 0
    shutil.rmtree(store / "folds" / "1")
    before_fold_1 = RunUnderWay(run, backend, 2).forecast()
    assert before_fold_1 is not None
    rows = [row for trial in run.trainings()[:2] for row in trial.history.values()]
    assert before_fold_1.folds == pytest.approx(2 * median(row["seconds"] for row in rows))


def test_every_trial_fold_and_candidate_is_in_the_outcomes(finished: Finished) -> None:
    sweep, model = finished.sweep_outcome, finished.outcome
    assert [trial.number for trial in sweep.trials] == [0, 1]
    assert all(trial.best(sweep.goal) is not None for trial in sweep.trials)
    assert [row.name for row in model.folds] == ["fold 0", "fold 1"]
    assert model.choice.chosen in {row.name for row in model.choice.candidates}
    assert all(row.pages == 3 for row in model.choice.candidates)
    for word in sweep.overrides:
        assert word in finished.output


def test_the_choices_are_given_with_their_reasons_and_intervals(finished: Finished) -> None:
    model = finished.outcome
    leads = "best H-Mean" if finished.sweep_outcome.value else "No trial has found any text"
    assert leads in finished.sweep_outcome.reasons[0]
    assert model.out_of_fold.pages == sum(row.pages for row in model.folds)
    for row in (*model.folds, model.out_of_fold, *model.choice.candidates):
        assert row.interval is not None and row.hmean is not None
        assert row.interval[0] <= row.hmean <= row.interval[1]
    report = finished.run.ensemble.report
    assert f"The model is {model.choice.chosen}" in report
    assert "all, out of fold" in report
    started_from = finished.run.ensemble.card.started_from
    assert ("weights it started from" in report) == (started_from is not None)
    assert (started_from or "") in report


def test_the_model_is_judged_by_the_baseline(finished: Finished) -> None:
    promotion = finished.outcome.promotion
    stored = json.loads((finished.store / "ensemble/result.json").read_text(encoding="utf-8"))[
        "promotion"
    ]
    assert promotion is not None
    assert stored["baseline_hmean"] == promotion.baseline_hmean == 0
    assert promotion.sentence()[:40] in finished.output


def test_the_run_store_has_the_layout_that_it_promises(finished: Finished) -> None:
    sweep = f"sweeps/{finished.run.sweep}"
    for file in (
        f"{sweep}/sweep.yaml",
        f"{sweep}/report.html",
        f"{sweep}/outcome.json",
        "ensemble/model.onnx",
        "ensemble/card.md",
        "ensemble/result.json",
        "ensemble/report.html",
        "ensemble/overlay.png",
    ):
        assert (finished.store / file).stat().st_size > 0, file
    for pattern in (
        f"{sweep}/trials/0/files/*/*-config.yaml",
        f"{sweep}/trials/1/files/*/*-best.ckpt",
        "folds/0/files/*/*-best.ckpt",
        "folds/1/files/*/*-last.ckpt",
        "folds/1/attempts/*/last.ckpt",
    ):
        assert list(finished.store.glob(pattern)), pattern
    assert finished.run.ensemble.card.name


def test_fold_0_is_the_best_trial_and_is_not_trained_again(finished: Finished) -> None:
    best = finished.sweep_outcome.best
    assert best is not None
    assert finished.outcome.reused_trial == best.number
    run = finished.run
    with run.trial(best.number).checkpoint() as trial, run.fold(0).checkpoint() as fold:
        assert fold.read_bytes() == trial.read_bytes()


@pytest.mark.timeout(300)
def test_a_finished_run_is_not_trained_again(finished: Finished) -> None:
    before, outcome = finished.trainings(), finished.outcome
    again = finished.run_again().stdout
    assert "epoch 1/" not in again
    assert finished.trainings() == before
    assert finished.outcome == outcome
