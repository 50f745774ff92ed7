"""A fold that two processes train, as torchrun starts them in a TrainJob's pod."""

import subprocess
import sys
from pathlib import Path

import pytest

from detector.data.synthetic import draw_receipts
from detector.steps.fold import read_fold_results, train_fold
from detector.steps.prepare import prepare
from detector.steps.run import Best, Run
from tests.tiny_run import overrides

ROOT = Path(__file__).parents[2]
SWEEP = "abc"
OVERRIDES = [*overrides(epochs=1), "data.crop_size=64", "data.crops_per_page=1"]


@pytest.mark.timeout(240)
def test_one_process_is_the_step_and_the_other_trains_with_it(tmp_path: Path) -> None:
    draw_receipts(tmp_path / "data", train=9, held_out=3, seed=1)
    store = str(tmp_path / "run")
    prepare(store, [*OVERRIDES, f"data.path={tmp_path / 'data'}"])
    run = Run(store)
    best = Best(0, {"models.optimizer.lr": 0.002}, "val/hmean", 0.5, 1, [])
    run.store.write(f"sweeps/{SWEEP}/best.yaml", best.to_yaml())

    def train() -> str:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command = [*torchrun, "--nproc-per-node=2", "-m", "detector.steps.fold_process"]
        done = subprocess.run(
            [*command, store, SWEEP, "1"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    printed: list[str] = []
    train_fold(store, SWEEP, 1, elsewhere=lambda: printed.append(train()))
    assert [lines.count("epoch 1/1") for lines in printed] == [1]
    train_fold(store, SWEEP, 1, elsewhere=lambda: printed.append(train()))
    assert len(printed) == 1, "it is trained already"
    (result,) = read_fold_results(run, [1])
    assert (result.fold, result.epoch, result.reused_trial) == (1, 1, None)
    assert "fold 1 is trained already" in train()
