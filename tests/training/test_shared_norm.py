"""Either kind of shared batch norm takes the place of a network's own, and changes nothing else."""

import pytest
import torch
from torch import nn

from detector.config.schema import Config
from detector.model.dbnet import DBNet
from detector.training.shared_norm import SharedBatchNorm2d, share_batch_norm


@pytest.mark.parametrize(
    ("device", "kind"), [("cpu", SharedBatchNorm2d), ("cuda", nn.SyncBatchNorm)]
)
def test_a_network_with_shared_norms_is_the_same_network(
    tiny: Config, device: str, kind: type[nn.Module]
) -> None:
    torch.manual_seed(0)
    network = DBNet(tiny.models)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    picture = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        expected = network.eval().probability_map(picture)
    places, count = tensors(network), len(norms(network, nn.BatchNorm2d))

    share_batch_norm(network, torch.device(device))
    assert len(norms(network, kind)) == count > 0
    assert tensors(network) == places
    with torch.inference_mode():
        torch.testing.assert_close(network.eval().probability_map(picture), expected)


def tensors(network: nn.Module) -> dict[str, int]:
    """Where each parameter and buffer lies in memory."""
    return {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}


def norms(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]
