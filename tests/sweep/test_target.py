from collections.abc import Mapping
from typing import ClassVar

import pytest

from detector.sweep.target import stop_at_target
from detector.sweep.trial import Params, TrialEnd, TrialHandle
from detector.sweepfile.spec import MetricSpec


class Trial:
    number = 0
    attempt = 1
    params: ClassVar[Params] = {}

    def report(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        return epoch > 0 and bool(metrics)


def stops_after(values: list[float], metric: MetricSpec) -> int | None:
    """After which of a trial's values the sweep was stopped first; None if it was not."""
    stopped: list[bool] = []
    stopped_after: list[int] = []

    def train(trial: TrialHandle) -> TrialEnd:
        for epoch, value in enumerate(values, start=1):
            assert trial.report(epoch, {"loss": value}), "the trial itself goes on"
            if stopped:
                stopped_after.append(epoch)
        return "finished"

    stop_at_target(train, metric, lambda: stopped.append(True))(Trial())
    return min(stopped_after, default=None)


@pytest.mark.parametrize(
    ("metric", "epoch"),
    [
        (MetricSpec(name="loss", target=0.3), 2),
        (MetricSpec(name="loss", target=0.1), None),
        (MetricSpec(name="loss"), None),
        (MetricSpec(name="accuracy", target=0.3), None),
        (MetricSpec(name="loss", goal="maximize", target=0.3), 1),
    ],
)
def test_a_sweep_is_stopped_once_a_trial_reaches_the_target(
    metric: MetricSpec, epoch: int | None
) -> None:
    assert stops_after([0.5, 0.25, 0.2], metric) == epoch
