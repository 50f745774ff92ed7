"""The learning rate agrees with torch's own scheduler."""

import pytest
import torch

from detector.config.schema import OptimizerConfig, SchedulerConfig
from detector.training.schedule import learning_rate


@pytest.mark.parametrize("t_max", [5, 20])
def test_whole_epochs_are_those_of_cosine_annealing_lr(t_max: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3e-4)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=t_max, eta_min=1.2e-5)
    settings = OptimizerConfig(lr=3e-4), SchedulerConfig(T_max=t_max, eta_min=1.2e-5)
    for epoch in range(t_max + 1):
        assert learning_rate(epoch, *settings) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_warmup_rises_from_zero() -> None:
    settings = OptimizerConfig(lr=1.0), SchedulerConfig(T_max=20, warmup_epochs=2, eta_min=0)
    rates = [learning_rate(step / 4, *settings) for step in range(9)]
    assert rates[0] == 0
    assert rates == sorted(rates)
