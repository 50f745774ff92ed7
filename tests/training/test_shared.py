"""A training that several processes share is that of one process. They are real, by torchrun."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from detector.config.loading import apply_params
from detector.config.schema import Config
from detector.data.batches import EpochBatches, training_batches
from detector.data.folds import Folds
from detector.data.processes import Processes
from detector.errors import ConfigError
from detector.model.checkpoint import load_tensors
from detector.training.result import EpochMetrics
from detector.training.run import train
from tests.training.test_run import curve, every_epoch

ROOT = Path(__file__).parents[2]
STEPS_AN_EPOCH = 2


@pytest.fixture(scope="module")
def config(tiny: Config) -> Config:
    params = {"data.batch_size": 4, "trainer.max_epochs": 2, "models.optimizer.lr": 1e-4}
    return apply_params(tiny, params)


@dataclass
class Shared:
    """What two processes have made of several trainings.

    Attributes:
        folders: of each training.
        results: what each process says of it, by rank.
        printed: by both, of all trainings.
    """

    folders: dict[str, Path]
    results: dict[str, list[dict[str, Any]]]
    printed: str


@pytest.fixture(scope="module")
def whole(config: Config, folds: Folds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one process's training."""
    folder = tmp_path_factory.mktemp("one")
    train(config, folds, 0, folder, every_epoch)
    return folder


@pytest.fixture(scope="module")
def shared(config: Config, folds: Folds, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    names = ("undisturbed", "asked to end", "taken over", "small memory")
    folders = {name: tmp_path_factory.mktemp("two") for name in names}

    def first_epoch_only(_: EpochMetrics) -> bool:
        return False

    train(config, folds, 0, folders["taken over"], first_epoch_only)
    given = {"asked to end": {"sigterm": 1}, "small memory": {"small_memory": 1}}
    common = {
        "config": config.to_dict(),
        "manifest": folds.manifest.to_json(),
        "root": str(folds.pages[0].image.parents[2]),
    }
    said = {name: tmp_path_factory.mktemp("said") for name in names}
    trials = [
        json.dumps(
            {**common, **given.get(name, {}), "folder": str(folder), "results": str(said[name])}
        )
        for name, folder in folders.items()
    ]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ended = subprocess.run(
        [*torchrun, "-m", "tests.training.shared", *trials],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    results = {
        name: [
            json.loads((folder / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)
        ]
        for name, folder in said.items()
    }
    return Shared(folders, results, ended.stdout)


def assert_same_training(left: Path, right: Path) -> None:
    """Within what rounding makes of it: processes add up in another order."""
    for ours, theirs in zip(curve(left), curve(right), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    ours, theirs = load_tensors(left / "last.ckpt"), load_tensors(right / "last.ckpt")
    for part in ("model", "ema"):
        torch.testing.assert_close(ours[part], theirs[part], rtol=1e-3, atol=1e-4)
    assert ours["updates"] == theirs["updates"]


def test_two_processes_train_what_one_does(shared: Shared, whole: Path) -> None:
    assert_same_training(shared.folders["undisturbed"], whole)


def test_both_know_the_result_and_only_the_first_reports_epochs(
    shared: Shared, whole: Path
) -> None:
    first, second = shared.results["undisturbed"]
    assert (first["status"], first["reported"], second["reported"]) == ("finished", [1, 2], [])
    assert (second["status"], second["kept"]) == (first["status"], first["kept"])
    assert first["kept"] > 0
    assert not (shared.folders["undisturbed"] / "not used").exists()
    assert {path.name for path in shared.folders["undisturbed"].iterdir()} == {
        path.name for path in whole.iterdir()
    }


def test_sigterm_to_one_process_ends_both_and_one_process_goes_on(
    shared: Shared, whole: Path, config: Config, folds: Folds, tmp_path: Path
) -> None:
    folder = shared.folders["asked to end"]
    assert [result["status"] for result in shared.results["asked to end"]] == ["preempted"] * 2
    assert load_tensors(folder / "last.ckpt")["step_in_epoch"] == 3 % STEPS_AN_EPOCH
    assert shared.printed.count("epoch 2 interrupted after 1 step;") == 1
    assert train(config, folds, 0, folder, every_epoch).status == "finished"
    assert_same_training(folder, whole)


def test_two_processes_go_on_where_one_was_stopped(shared: Shared, whole: Path) -> None:
    assert shared.printed.count("resumed after epoch 1") == 1
    assert shared.results["taken over"][0]["reported"] == [1, 2]
    assert_same_training(shared.folders["taken over"], whole)


def test_all_halve_the_micro_batch_that_one_has_no_room_for(shared: Shared) -> None:
    assert [result["status"] for result in shared.results["small memory"]] == ["finished"] * 2
    assert shared.printed.count("micro-batch halved to 2, effective batch unchanged") == 1
    state = load_tensors(shared.folders["small memory"] / "last.ckpt")
    assert (state["micro_batch"], state["updates"]) == (2, 2 * STEPS_AN_EPOCH)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_shares_of_a_batch_are_the_batch(world: int) -> None:
    whole = EpochBatches(pages=5, batch_size=8, crops_per_page=4, seed=7)
    shares = [EpochBatches(5, 8, 4, 7, Processes(rank, world, world)) for rank in range(world)]
    for batch, *parts in zip(whole, *shares, strict=True):
        for crops in range(1, 8 // world + 1):
            drawn = [draw.position for part in parts for draw in part[:crops]]
            assert sorted(drawn) == [draw.position for draw in batch[: crops * world]]


def test_a_batch_that_cannot_be_shared_out_is_an_error(tiny: Config, folds: Folds) -> None:
    config = apply_params(tiny, {"data.batch_size": 3, "trainer.accumulate_grad_batches": 2})
    with pytest.raises(
        ConfigError, match=r"data\.batch_size=3 times .* cannot be shared by 2 proc"
    ):
        training_batches(folds.training(0), config, Processes(0, 2, 2))
