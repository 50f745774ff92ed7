"""The first step: what it writes, and what it does when it is run again."""

import json
import shutil
from pathlib import Path

import pytest

from detector.data.synthetic.drawing import draw_receipts
from detector.errors import ConfigError, DataError, StoreError
from detector.steps.prepare import prepare
from detector.steps.run import Run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "receipts"
    draw_receipts(folder, train=8, held_out=2, seed=1)
    return folder


def overrides(data: Path, *words: str) -> list[str]:
    return ["preset=quickstart", f"data.path={data}", "folds.count=2", *words]


def test_prepare_leaves_the_configuration_the_check_and_the_folds(
    data: Path, tmp_path: Path
) -> None:
    prepared = prepare(Run(str(tmp_path)), overrides(data))
    run = Run(str(tmp_path))
    assert run.config == prepared.config
    assert run.manifest == prepared.manifest
    assert prepared.page_counts == {"pages": 8, "held-out pages": 2}
    assert json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    assert len(run.folds().held_out) == 2


def test_so_few_pages_that_trials_will_tie_are_warned_of(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(Run(str(tmp_path / "few")), overrides(data))
    assert (
        "warning: trials are compared on 4 pages, which can hardly show which is better: label "
        "more pages, so that each of the 2 folds has 10\n"
    ) in capsys.readouterr().out
    draw_receipts(tmp_path / "more", train=30, held_out=2, seed=1)
    prepare(Run(str(tmp_path / "enough")), overrides(tmp_path / "more"))
    assert "can hardly show" not in capsys.readouterr().out


def test_prepare_run_again_changes_nothing(data: Path, tmp_path: Path) -> None:
    first = prepare(Run(str(tmp_path)), overrides(data))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert prepare(Run(str(tmp_path)), overrides(data)) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_prepare_killed_before_its_last_file_is_done_again(data: Path, tmp_path: Path) -> None:
    first = prepare(Run(str(tmp_path)), overrides(data))
    (tmp_path / "config.yaml").unlink()
    (tmp_path / "folds.json").write_text("", encoding="utf-8")
    assert prepare(Run(str(tmp_path)), overrides(data)) == first


def test_a_store_of_another_configuration_is_refused(data: Path, tmp_path: Path) -> None:
    prepare(Run(str(tmp_path)), overrides(data))
    with pytest.raises(StoreError, match="another configuration"):
        prepare(Run(str(tmp_path)), overrides(data, "seed=3"))


def test_a_store_of_other_pages_is_refused_and_one_of_the_same_elsewhere_is_not(
    data: Path, tmp_path: Path
) -> None:
    store = tmp_path / "run"
    prepare(Run(str(store)), overrides(data))
    shutil.copytree(data, tmp_path / "moved")
    prepare(Run(str(store)), overrides(tmp_path / "moved"))
    draw_receipts(tmp_path / "other", train=8, held_out=2, seed=9)
    with pytest.raises(StoreError, match="a run on the data set") as refused:
        prepare(Run(str(store)), overrides(tmp_path / "other"))
    assert str(data) in str(refused.value)


def test_retrain_limits_the_folds_of_the_ensemble(data: Path, tmp_path: Path) -> None:
    prepared = prepare(Run(str(tmp_path)), overrides(data, "folds.retrain=1"))
    assert prepared.fold_numbers == [0]
    assert prepared.manifest.count == 2


def test_a_batch_that_the_folds_gpus_cannot_share_is_refused_before_the_sweep(
    data: Path, tmp_path: Path
) -> None:
    words = overrides(data, "data.batch_size=6")
    with pytest.raises(ConfigError, match="cannot be shared by 4 processes"):
        prepare(Run(str(tmp_path)), words, gpus_per_fold=4)
    assert not list(tmp_path.iterdir())
    prepare(Run(str(tmp_path)), words, gpus_per_fold=3)


def test_errors_in_the_data_set_are_listed(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    (bad / "images").mkdir(parents=True)
    (bad / "gt").mkdir()
    (bad / "images" / "a.jpg").write_bytes(b"not an image")
    (bad / "gt" / "a.txt").write_text("1,2,3\n", encoding="utf-8")
    with pytest.raises(DataError, match="detsweep data check") as error:
        prepare(Run(str(tmp_path / "run")), overrides(bad))
    assert "images/a.jpg" in str(error.value)
    assert "gt/a.txt:1" in str(error.value)
    assert not (tmp_path / "run" / "config.yaml").exists()
