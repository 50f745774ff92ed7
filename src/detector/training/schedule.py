"""The learning rate over a run."""

import math

from detector.config.schema import OptimizerConfig, SchedulerConfig


def learning_rate(
    epochs_done: float, optimizer: OptimizerConfig, scheduler: SchedulerConfig
) -> float:
    """The rate after `epochs_done` epochs, which may be a fraction.

    Cosine annealing from `lr` to `eta_min` in `T_max` epochs (Loshchilov and Hutter 2017, SGDR,
    equation 5), as torch's CosineAnnealingLR computes it: beyond `T_max` it rises again. Over the
    first `warmup_epochs` it is scaled up linearly from zero.

    >>> learning_rate(20, OptimizerConfig(lr=1.0), SchedulerConfig(T_max=20, eta_min=0.0))
    0.0
    """
    swing = (1 + math.cos(math.pi * epochs_done / scheduler.T_max)) / 2
    rate = scheduler.eta_min + (optimizer.lr - scheduler.eta_min) * swing
    if epochs_done < scheduler.warmup_epochs:
        rate *= epochs_done / scheduler.warmup_epochs
    return rate
