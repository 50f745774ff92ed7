"""The fourth step: the choice between real trials, its reasons, and what is trained for it."""

from pathlib import Path

import pytest

from detector.data.synthetic.drawing import draw_receipts
from detector.steps.agent import run_sweep_agent
from detector.steps.fold import train_fold
from detector.steps.prepare import prepare
from detector.steps.run import Run
from detector.steps.select import Selection, select
from detector.steps.sweep_init import init_sweep
from tests.tiny_run import overrides

SWEEP = """\
method: grid
metric: {name: val/hmean, goal: maximize}
parameters:
  models.optimizer.lr: {values: [0.003, 0.0030001]}
"""
OVERRIDES = [*overrides(epochs=1), "data.crop_size=64", "folds.rescore=2"]


class Swept:
    """A run whose two trials have been trained and compared."""

    def __init__(self, folder: Path):
        self.run = Run(str(folder / "run"))
        draw_receipts(folder / "data", train=8, held_out=2, seed=1)
        prepare(self.run, [*OVERRIDES, f"data.path={folder / 'data'}"])
        self.sweep = init_sweep(self.run, f"sqlite:///{folder}/sweep.db", SWEEP).open()
        run_sweep_agent(self.run, self.sweep, "a1")
        self.selection: Selection = select(self.run, self.sweep)

    def file(self, name: str) -> Path:
        return Path(self.run.url) / "sweeps" / self.sweep.id / name


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return Swept(tmp_path_factory.mktemp("swept"))


def test_the_outcome_says_why_with_an_interval(swept: Swept) -> None:
    best = swept.selection.outcome.as_plain()
    assert 0 <= best["low"] <= best["value"] <= best["high"] <= 1
    leads = "has the best H-Mean" if best["value"] else "No trial has found any text"
    assert leads in best["reasons"][0]
    assert any("the sweep began from" in reason for reason in best["reasons"])
    assert swept.run.outcome == swept.selection.outcome


def test_the_report_gives_the_same_reasons(swept: Swept) -> None:
    for reason in swept.selection.outcome.reasons:
        assert reason in swept.selection.report
    assert swept.file("report.html").read_text(encoding="utf-8") == swept.selection.report


def test_trials_that_tie_are_measured_on_another_fold_too(swept: Swept) -> None:
    choice = swept.run.outcome.choice
    assert choice is not None
    assert [s.trial for s in choice.standings if s.behind.contains_zero] == [0, 1]
    assert any(r.startswith("Trained again without fold 1") for r in choice.reasons)
    for trial in (0, 1):
        assert len(swept.run.rescored(trial, 1).kept.pages) > 0


def test_select_run_again_says_the_same_and_trains_nothing(swept: Swept) -> None:
    trained = swept.run.rescored(0, 1)
    before = trained.store.find(trained.key)
    assert select(swept.run, swept.sweep) == swept.selection
    assert trained.store.find(trained.key) == before


def test_what_was_trained_for_the_choice_is_that_folds_model(swept: Swept) -> None:
    best = swept.selection.outcome.best
    assert best is not None
    assert train_fold(swept.run, 1).reused_trial == best.number
    trial = swept.run.rescored(best.number, 1)
    with swept.run.fold(1).checkpoint() as fold, trial.checkpoint() as trained:
        assert fold.read_bytes() == trained.read_bytes()
