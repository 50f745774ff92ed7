"""One training run: `train(config, folds, fold, run_dir, on_epoch) -> TrainResult`."""

from detector.training.result import METRIC, EpochMetrics, OnEpoch, TrainResult
from detector.training.run import train

__all__ = ["METRIC", "EpochMetrics", "OnEpoch", "TrainResult", "train"]
