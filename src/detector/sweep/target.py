"""`metric.target` of a sweep file: a value that is good enough to end the search."""

from collections.abc import Callable, Mapping

from detector.sweep.trial import Objective, Params, TrialEnd, TrialHandle
from detector.sweepfile.spec import MetricSpec


def stop_at_target(objective: Objective, metric: MetricSpec, stop: Callable[[], None]) -> Objective:
    """`objective`, but `stop` is called after a trial reported a value that reaches the target.

    The trial itself goes on, as in W&B, and so do those beside it.
    """
    if metric.target is None:
        return objective

    def train(trial: TrialHandle) -> TrialEnd:
        return objective(_Watched(trial, metric, stop))

    return train


class _Watched:
    def __init__(self, trial: TrialHandle, metric: MetricSpec, stop: Callable[[], None]):
        self._trial, self._metric, self._stop = trial, metric, stop

    @property
    def number(self) -> int:
        return self._trial.number

    @property
    def attempt(self) -> int:
        return self._trial.attempt

    @property
    def params(self) -> Params:
        return self._trial.params

    def report(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        goes_on = self._trial.report(epoch, metrics)
        value = metrics.get(self._metric.name)
        if value is not None and self._metric.is_reached(value):
            self._stop()
        return goes_on
