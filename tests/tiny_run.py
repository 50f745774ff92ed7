"""The smallest real run of the pipeline: two trials, two folds, seconds of training."""

from collections.abc import Mapping

from detector.choosing.ranking import Choice
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import TrialRecord

SWEEP = """\
name: tiny
method: random
run_cap: 2
metric: {name: val/hmean, goal: maximize}
parameters:
  models.optimizer.lr: {distribution: log_uniform_values, min: 0.001, max: 0.008}
"""


def overrides(epochs: int) -> list[str]:
    """The configuration of trainings of so many epochs."""
    return [
        "preset=quickstart",
        "data.resize.side=128",
        "data.crop_size=128",
        "data.batch_size=4",
        "models.encoder.model_name=mobilenetv3_small_050",
        "models.decoder.inner_channels=16",
        f"models.scheduler.T_max={epochs}",
        f"trainer.max_epochs={epochs}",
        "folds.count=2",
    ]


def chosen_outcome(sweep: str, params: Mapping[str, object], value: float = 0.5) -> SweepOutcome:
    """The outcome of a sweep whose one trial, of these parameters, was selected."""
    trial = TrialRecord(0, params, "finished", {1: value}, epoch=1)
    choice = Choice(0, [], ["It is the only one."])
    return SweepOutcome(sweep, None, True, "val/hmean", "maximize", [trial], (), choice)
