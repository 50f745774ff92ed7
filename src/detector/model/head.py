"""The head: probability and threshold maps at the image's own resolution (Liao et al. 2020)."""

import math

import torch
from torch import Tensor, nn

from detector.model.layers import conv_norm_relu, conv_relu, initialise


class MapBranch(nn.Sequential):
    """Logits of one full-resolution map from features at stride 4.

    Args:
        channels: of the features.
        prior: what the map says everywhere before anything is learnt. Most of a page is no text,
            and from an even chance Adam needs hundreds of steps to bring its bias down (Lin et al.
            2017, "Focal Loss", arXiv 1708.02002, section 3.3).
        normalised: whether batch normalisation follows each convolution but the last.
    """

    def __init__(self, channels: int, prior: float, *, normalised: bool = True):
        inner = max(channels // 4, 8)
        last = nn.ConvTranspose2d(inner, 1, 2, stride=2)
        super().__init__(
            conv_norm_relu(channels, inner, 3) if normalised else conv_relu(channels, inner, 3),
            nn.ConvTranspose2d(inner, inner, 2, stride=2, bias=not normalised),
            nn.BatchNorm2d(inner) if normalised else nn.Identity(),
            nn.ReLU(inplace=True),
            last,
        )
        initialise(self)
        nn.init.normal_(last.weight, std=0.1)
        assert last.bias is not None
        nn.init.constant_(last.bias, math.log(prior / (1 - prior)))

    @property
    def last(self) -> nn.ConvTranspose2d:
        """The layer that gives the logits."""
        last = self[-1]
        assert isinstance(last, nn.ConvTranspose2d)
        return last


def approximate_binary_map(probability: Tensor, threshold: Tensor, k: float) -> Tensor:
    """Differentiable binarisation: 1 / (1 + exp(-k (P - T))) (Liao et al. 2020, equation 2)."""
    return torch.sigmoid(k * (probability - threshold))
