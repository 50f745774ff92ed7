"""From the seconds of a step to the hours of a run."""

import pytest

from detector.config.loading import load_config
from detector.data.folds import Folds
from detector.errors import SweepError
from detector.planning.estimate import Work, estimate
from detector.planning.throughput import Throughput
from detector.sweepfile.spec import SweepSpec, parse_sweep

SWEEP = """\
method: random
metric: {name: val/hmean, goal: maximize}
parameters: {models.optimizer.lr: {min: 0.001, max: 0.008}}
"""
WORK = Work(
    epoch_seconds=360,
    start_seconds=0,
    trials=8,
    max_epochs=10,
    folds=4,
    rescored=2,
    ensemble_seconds=1800,
)


def sweep(more: str = "") -> SweepSpec:
    return parse_sweep(SWEEP + more, "sweep")


def test_a_run_is_counted_from_its_pages_and_batches(folds: Folds) -> None:
    config = load_config(["preset=quickstart", "folds.count=3", "folds.retrain=3"])
    measured = Throughput("a GPU", step_seconds=2, page_seconds=0.5, start_seconds=9, batch=4)
    work = Work.of(measured, config, folds, sweep("run_cap: 7\n"))
    steps = len(folds.training(0)) * config.data.crops_per_page // config.data.batch_size
    assert work.epoch_seconds == steps * 2 + len(folds.validation(0)) * 0.5
    assert (work.trials, work.folds, work.max_epochs) == (7, 2, 4)


def test_a_sweep_without_a_limit_needs_to_be_told_one(folds: Folds) -> None:
    config = load_config(["preset=quickstart"])
    measured = Throughput("a GPU", 2, 0.5, 9, 4)
    with pytest.raises(SweepError, match="--trials"):
        Work.of(measured, config, folds, sweep())
    assert Work.of(measured, config, folds, sweep(), trials=5).trials == 5


def test_agents_share_the_hours_and_not_the_gpu_hours() -> None:
    one, four = (estimate(WORK, sweep(), agents) for agents in (1, 4))
    assert (one.sweep.middle, four.sweep.middle) == (8, 2)
    assert (one.folds.low, four.folds.low) == (4, 1)
    assert one.gpu_hours == four.gpu_hours
    assert one.gpu_hours.low == 8 + 4
    assert one.gpu_hours.high == 8 + 4 + 2
    assert one.total.low == 8 + 4 + 0.5


def test_a_fold_on_several_gpus_takes_the_time_and_the_place_of_several() -> None:
    two = estimate(WORK, sweep(), agents=4, gpus_per_fold=2)
    assert two.folds.low == 0.5 * 2
    assert two.gpus == 4
    assert estimate(WORK, sweep(), agents=2, gpus_per_fold=8).gpus == 8


def test_early_stopping_makes_a_range() -> None:
    spec = sweep("early_terminate: {type: hyperband, min_iter: 2}\n")
    stopped = estimate(WORK, spec, agents=2).sweep
    assert 1 < stopped.low < stopped.middle < stopped.high < 4
