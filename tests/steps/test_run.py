"""The run store of a pipeline run: what is written is read, and what is not there is named."""

import math
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from detector.choosing.bootstrap import Interval
from detector.choosing.promotion import Promotion
from detector.choosing.ranking import Choice, Standing
from detector.ensemble.outcome import EnsembleOutcome, ModelChoice
from detector.errors import StoreError
from detector.evaluation.score_row import ScoreRow
from detector.steps.run import BegunSweep, Run
from detector.steps.training import FoldResult, Origin
from detector.storage.atomic import write_atomically
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import Hold, TrialRecord

PARAMS = {
    "lr": 1e-3,
    "size": 640,
    "name": "résnet",
    "flags": [True, None],
    "one": 1.0,
    "no_limit": math.inf,
    "bounds": [-math.inf, 1],
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(str(tmp_path), "abc")


def a_sweep_outcome() -> SweepOutcome:
    holds = (Hold("a1", 1.5, 2.5), Hold("a2", 3.0, None))
    trials = [
        TrialRecord(0, PARAMS, "finished", {1: 0.25, 10: 0.5}, "a2", 1.5, 9.0, holds=holds),
        TrialRecord(1, {}, "failed", reason="no GPU"),
    ]
    standing = Standing(0, Interval(0.5, 0.4, 0.6), Interval(0.0, 0.0, 0.0))
    choice = Choice(0, [standing], ["It is the only one."])
    return SweepOutcome("abc", None, True, "score", "maximize", trials, (2, 4), choice, 10)


def test_a_sweeps_outcome_is_read_as_it_was_written(run: Run) -> None:
    written = a_sweep_outcome()
    assert run.find_outcome() is None
    assert written.best is not None  # what is derived is not written
    run.write_outcome(written)
    assert run.outcome == written
    kept = run.outcome.trials[0].params
    assert [repr(kept[name]) for name in PARAMS] == [repr(value) for value in PARAMS.values()]
    assert list(run.outcome.trials[0].curve) == [1, 10]


def test_a_parameter_that_is_not_a_number_stays_one(run: Run) -> None:
    written = a_sweep_outcome()
    trial = replace(written.trials[0], params={"limit": math.nan})
    run.write_outcome(replace(written, trials=[trial]))
    assert repr(run.outcome.trials[0].params) == "{'limit': nan}"


def test_an_ensembles_outcome_is_read_as_it_was_written(run: Run) -> None:
    row = ScoreRow("fold 0", 4, 0.5, None, 0.6, 0.6, None, None)
    choice = ModelChoice([row], "fold 0", "it is the only one", "kept", Interval(0.6, 0, 1))
    promotion = Promotion("0.5", 4, 0.6, 0.5, Interval(0.1, -0.1, 0.2))
    written = EnsembleOutcome(choice, [row], row, None, "digest", promotion)
    run.ensemble.write(written, "<html>", b"png")
    assert run.ensemble.outcome == written
    assert run.ensemble.report == "<html>"
    assert not run.ensemble.is_whole, "there is no model"
    with run.ensemble.opened() as folder:
        write_atomically(folder.path / "model.onnx", b"model")
    assert run.ensemble.is_whole


def test_a_training_is_of_the_origin_that_it_was_begun_with(run: Run) -> None:
    training = run.fold(1)
    first, second = Origin("c", "d", 1), Origin("other", "d", 1)
    with training.attempt(first) as folder:
        write_atomically(folder.path / "last.ckpt", b"weights")
    training.write_result(FoldResult(1, 3, {"val/hmean": 0.5}, None, first))
    with training.attempt(first) as folder:
        assert (folder.path / "last.ckpt").read_bytes() == b"weights"
    assert (training.origin, training.trained.scores) == (first, {"val/hmean": 0.5})
    with training.attempt(second) as folder:
        assert list(folder.path.iterdir()) == []
    assert (training.origin, training.result) == (second, None)
    with pytest.raises(StoreError, match="fold 1 has not been trained to its end"):
        _ = training.trained


def test_a_program_goes_on_from_what_the_attempt_before_has_left(run: Run) -> None:
    trial = run.trial(2)
    with trial.program_folder(3) as first:
        (first / "deep").mkdir()
        (first / "deep" / "weights").write_bytes(b"epoch 1")
        with trial.program_folder(5) as second:
            assert (second / "deep" / "weights").read_bytes() == b"epoch 1"
            (second / "deep" / "weights").write_bytes(b"epoch 2")
            (second / "metrics.jsonl").write_bytes(b'{"epoch": 2, "loss": 0.5}\n')
        # One that was paused, and wakes up.
        (first / "deep" / "weights").write_bytes(b"another epoch 2")
    with trial.program_folder(6) as third:
        assert (third / "deep" / "weights").read_bytes() == b"epoch 2"
    assert trial.history == {2: {"loss": 0.5}}


def test_what_an_earlier_version_has_trained_is_left_to_it(run: Run) -> None:
    training = run.trial(1)
    training.store.write(f"{training.key}/origin.json", "{}")
    with (
        pytest.raises(StoreError, match="an earlier version"),
        training.attempt(Origin("c", "d", 0)),
    ):
        pass


def test_the_trainings_that_were_begun_are_listed_trials_first(run: Run) -> None:
    assert run.trainings() == []
    for training in (run.fold(1), run.fold(0), run.trial(10), run.trial(2)):
        with training.attempt(Origin("c", "d", 0)):
            pass
    names = [training.name for training in run.trainings()]
    assert names == ["trial 2", "trial 10", "fold 0", "fold 1"]


def test_trackers_call_a_training_by_its_sweep_or_its_fold(run: Run) -> None:
    trainings = (run.trial(3), run.rescored(3, 1), run.fold(2))
    names = [training.tracked_as for training in trainings]
    assert names == ["abc/trials/3", "abc/rescored/3/1", "folds/2"]


def test_a_store_of_another_sweep_has_another_configuration(tmp_path: Path) -> None:
    Run(str(tmp_path), "m2x7").require_sweep()  # where nothing was begun
    Run(str(tmp_path)).begin_sweep(BegunSweep("k3v9", "digest", "file"), "method: random")
    Run(str(tmp_path), "k3v9").require_sweep()
    with pytest.raises(StoreError, match="that of sweep k3v9, and not of m2x7") as refused:
        Run(str(tmp_path), "m2x7").require_sweep()
    assert "--store" in str(refused.value)


@pytest.mark.parametrize("damage", ["", "{", "{}"])
def test_a_damaged_name_of_the_sweep_heals_where_there_is_one_sweep(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run, begun = Run(str(tmp_path)), BegunSweep("k3v9", "digest", "file")
    run.begin_sweep(begun, "method: random")
    (tmp_path / "sweep.json").write_text(damage, encoding="utf-8")
    assert run.begun == begun
    assert "is damaged: going by the only sweep" in capsys.readouterr().out
    Run(str(tmp_path)).begin_sweep(BegunSweep("m2x7", "digest", "file"), "method: grid")
    (tmp_path / "sweep.json").write_text(damage, encoding="utf-8")
    with pytest.raises(StoreError, match="not as this version"):
        _ = run.begun


def test_a_run_knows_its_sweep_by_what_it_was_begun_with(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    assert run.begun is None
    with pytest.raises(StoreError, match="`sweep_init` writes it"):
        _ = run.sweep
    run.begin_sweep(BegunSweep("k3v9", "digest", "file"), "method: random")
    assert run.sweep == "k3v9"
    assert Run(str(tmp_path)).begun == BegunSweep("k3v9", "digest", "file")
    assert Path(run.sweep_file_url).read_text(encoding="utf-8") == "method: random"


def test_a_run_reaches_another_process_whole(run: Run) -> None:
    run.write_outcome(a_sweep_outcome())
    handed_over: Run = pickle.loads(pickle.dumps(run))
    assert handed_over.outcome == run.outcome


def test_what_is_missing_is_named_with_the_step_that_writes_it(run: Run) -> None:
    for read, step in (
        (lambda: run.config, "prepare"),
        (lambda: run.outcome, "select"),
        (lambda: run.ensemble.outcome, "ensemble"),
    ):
        with pytest.raises(StoreError, match=f"`{step}` writes it"):
            read()


def test_a_document_of_another_form_is_refused_by_its_url_and_its_field(
    run: Run, tmp_path: Path
) -> None:
    run.write_outcome(a_sweep_outcome())
    file = tmp_path / "sweeps" / "abc" / "outcome.json"
    file.write_text(
        file.read_text(encoding="utf-8").replace('"goal": "maximize"', '"goal": "more"'),
        encoding="utf-8",
    )
    with pytest.raises(StoreError) as caught:
        run.find_outcome()
    assert str(file) in str(caught.value)
    assert "goal" in caught.value.problem
