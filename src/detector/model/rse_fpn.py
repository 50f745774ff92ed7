"""RSE-FPN, the neck of PP-OCR's mobile detectors (Li et al. 2022, "PP-OCRv3", arXiv 2206.03001,
section 2.1): a feature pyramid whose convolutions attend to channels. No batch normalisation."""

import torch
from torch import Tensor, nn

from detector.model.encoder import STRIDES
from detector.model.layers import ChannelAttention, initialise
from detector.model.pyramid import Pyramid

_ATTENTION_SLOPE = 0.2


class RSEFPN(Pyramid):
    """Fuses feature maps at strides 4 to 32 into `channels` channels at stride 4.

    Args:
        in_channels: of the feature maps, finest first.
        channels: of the result, a quarter of them from each scale.
    """

    def __init__(self, in_channels: list[int], channels: int):
        part = channels // len(STRIDES)
        whole = part * len(STRIDES)
        super().__init__(
            laterals=nn.ModuleList(AttendingConv(c, whole, 1) for c in in_channels),
            outputs=nn.ModuleList(AttendingConv(whole, part, 3) for _ in in_channels),
        )
        self.channels = whole
        initialise(self)

    def forward(self, features: list[Tensor]) -> Tensor:
        """One (B, channels, H/4, W/4) map from those at `STRIDES`, coarsest channels first."""
        return torch.cat(self.maps(features)[::-1], dim=1)


class AttendingConv(nn.Module):
    """A convolution whose channels are weighed and added to themselves."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.attention = ChannelAttention(outputs, slope=_ATTENTION_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs, H, W)."""
        y: Tensor = self.conv(x)
        weighed: Tensor = self.attention(y)
        return y + weighed
