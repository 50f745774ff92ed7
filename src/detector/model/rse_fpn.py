"""RSE-FPN, the neck of PP-OCR's mobile detectors (Li et al. 2022, "PP-OCRv3", arXiv 2206.03001,
section 2.1): a feature pyramid whose convolutions attend to channels. No batch normalisation."""

import torch
from torch import Tensor, nn

from detector.model.encoder import STRIDES
from detector.model.layers import ChannelAttention, initialise

_ATTENTION_SLOPE = 0.2


class RSEFPN(nn.Module):
    """Fuses feature maps at strides 4 to 32 into `channels` channels at stride 4.

    Args:
        in_channels: of the feature maps, finest first.
        channels: of the result, a quarter of them from each scale.
    """

    def __init__(self, in_channels: list[int], channels: int):
        super().__init__()
        part = channels // len(STRIDES)
        self.channels = part * len(STRIDES)
        self.laterals = nn.ModuleList(AttendingConv(c, self.channels, 1) for c in in_channels)
        self.outputs = nn.ModuleList(AttendingConv(self.channels, part, 3) for _ in in_channels)
        self.twice = nn.Upsample(scale_factor=2, mode="nearest")
        self.to_stride_4 = nn.ModuleList(
            nn.Upsample(scale_factor=stride // STRIDES[0], mode="nearest") for stride in STRIDES
        )
        initialise(self)

    def forward(self, features: list[Tensor]) -> Tensor:
        """One (B, channels, H/4, W/4) map from those at `STRIDES`, coarsest channels first."""
        pyramid = [lateral(f) for lateral, f in zip(self.laterals, features, strict=True)]
        for level in range(len(pyramid) - 2, -1, -1):
            pyramid[level] = pyramid[level] + self.twice(pyramid[level + 1])
        maps = [
            upsample(output(level))
            for upsample, output, level in zip(self.to_stride_4, self.outputs, pyramid, strict=True)
        ]
        return torch.cat(maps[::-1], dim=1)


class AttendingConv(nn.Module):
    """A convolution whose channels are weighed and added to themselves."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.attention = ChannelAttention(outputs, slope=_ATTENTION_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs, H, W)."""
        y: Tensor = self.conv(x)
        return y + self.attention.forward(y)
