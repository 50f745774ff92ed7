"""The blocks that networks are made of, and how they are initialised."""

import torch
from torch import Tensor, nn


def conv_norm_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution that keeps the size, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def conv_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution that keeps the size, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True)
    )


class ScalarAffine(nn.Module):
    """x · scale + bias, with one learnt number each for all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x * self.scale + self.bias


class ChannelAttention(nn.Module):
    """Weighs each channel by what all of them say of the whole image (Hu et al. 2018, "Squeeze and
    excitation", arXiv 1709.01507).

    Args:
        channels: in and out; a quarter of them in between.
        slope: of the hard sigmoid, max(0, min(1, slope · x + 1/2)).
    """

    def __init__(self, channels: int, slope: float):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W), weighed."""
        pooled = x.mean(dim=(2, 3), keepdim=True)
        weight: Tensor = self.excite(torch.relu(self.squeeze(pooled)))
        return x * (weight * self.slope + 0.5).clamp(0, 1)


def initialise(module: nn.Module) -> None:
    """Keep the signal's variance through every convolution (He et al. 2015, arXiv 1502.01852).

    torch's own default shrinks it by three at each layer, which the short schedules of a sweep
    would have to make up for.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
