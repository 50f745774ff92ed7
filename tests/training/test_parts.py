"""What a training steps with: how far each tensor may go in one step."""

import pytest
import torch
from lightning_fabric import Fabric

from detector.config.loading import apply_params
from detector.config.schema import Config
from detector.data.folds import Folds
from detector.training.parts import Parts, build_parts

RATE = 1e-3


@pytest.fixture
def relative(tiny: Config, folds: Folds) -> Parts:
    params = {"models.optimizer.scale_parameter": True, "models.optimizer.weight_decay": 0.0}
    config = apply_params(tiny, {**params, "trainer.gradient_clip_val": 0.0})
    return build_parts(config, folds.training(0), Fabric(accelerator="cpu", devices=1))


def rms(tensor: torch.Tensor) -> float:
    return float(tensor.square().mean().sqrt())


def test_a_relative_rate_moves_large_and_small_weights_by_the_same_share(relative: Parts) -> None:
    before = {name: w.detach().clone() for name, w in relative.network.named_parameters()}
    relative.stepper.step(next(iter(relative.loader)), RATE)
    sizes = [rms(weights) for weights in before.values() if rms(weights)]
    assert max(sizes) > 20 * min(sizes)
    for name, weights in relative.network.named_parameters():
        change = rms(weights.detach() - before[name])
        # The first step of Adam is the rate, for each weight that has a gradient.
        assert change <= 1.01 * RATE * max(rms(before[name]), 1e-3), name
        if name.endswith("conv_stem.weight"):
            assert change == pytest.approx(RATE * rms(before[name]), rel=0.05)


def test_a_training_that_is_resumed_keeps_the_scales_of_its_start(
    relative: Parts, tiny: Config, folds: Folds
) -> None:
    relative.stepper.step(next(iter(relative.loader)), 0.5)
    config = apply_params(tiny, {"models.optimizer.scale_parameter": True, "seed": 5})
    other = build_parts(config, folds.training(0), Fabric(accelerator="cpu", devices=1))
    assert _scales(other) != _scales(relative)
    other.load_state_dict(relative.state_dict())
    assert _scales(other) == _scales(relative)


def _scales(parts: Parts) -> list[float]:
    return [group["scale"] for group in parts.optimizer.param_groups]
