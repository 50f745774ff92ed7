"""The head: probability and threshold maps at the image's own resolution (Liao et al. 2020)."""

import torch
from torch import Tensor, nn

from detector.model.layers import conv_norm_relu


class MapBranch(nn.Sequential):
    """Logits of one full-resolution map from features at stride 4."""

    def __init__(self, channels: int):
        inner = max(channels // 4, 8)
        super().__init__(
            conv_norm_relu(channels, inner, 3),
            nn.ConvTranspose2d(inner, inner, 2, stride=2, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(inner, 1, 2, stride=2),
        )


def approximate_binary_map(probability: Tensor, threshold: Tensor, k: float) -> Tensor:
    """Differentiable binarisation: 1 / (1 + exp(-k (P - T))) (Liao et al. 2020, equation 2)."""
    return torch.sigmoid(k * (probability - threshold))
