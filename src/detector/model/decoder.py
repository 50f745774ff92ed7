"""The neck: a feature pyramid that ends in one map at stride 4."""

import torch
from torch import Tensor, nn

from detector.config.schema import DecoderConfig
from detector.model.encoder import STRIDES
from detector.model.layers import conv_norm_relu, initialise
from detector.model.pyramid import Pyramid


class Decoder(Pyramid):
    """Fuses feature maps at strides 4 to 32 into `channels` channels at stride 4."""

    def __init__(self, in_channels: list[int], config: DecoderConfig):
        inner = config.inner_channels
        part = inner // len(STRIDES)
        super().__init__(
            laterals=nn.ModuleList(nn.Conv2d(c, inner, 1, bias=False) for c in in_channels),
            outputs=nn.ModuleList(conv_norm_relu(inner, part, 3) for _ in in_channels),
        )
        self.channels = part * len(STRIDES)
        self.fusion = AdaptiveScaleFusion(part) if config.adaptive_scale_fusion else None
        initialise(self)

    def forward(self, features: list[Tensor]) -> Tensor:
        """One (B, channels, H/4, W/4) map from those at `STRIDES`, finest first."""
        maps = self.maps(features)
        return self.fusion(maps) if self.fusion else torch.cat(maps, dim=1)


class AdaptiveScaleFusion(nn.Module):
    """Weighs each scale at each place before they are joined (DBNet++, Liao et al. 2022,
    arXiv 2202.10304, section 3.3)."""

    def __init__(self, part: int):
        super().__init__()
        joined = part * len(STRIDES)
        self.reduce = nn.Conv2d(joined, part, 3, padding=1)
        self.spatial = nn.Sequential(
            nn.Conv2d(1, 1, 3, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(1, 1, 1, bias=False),
            nn.Sigmoid(),
        )
        self.scale = nn.Sequential(nn.Conv2d(part, len(STRIDES), 1, bias=False), nn.Sigmoid())

    def forward(self, maps: list[Tensor]) -> Tensor:
        """The (B, part, h, w) maps of all scales, weighed and joined: (B, 4 part, h, w)."""
        reduced = self.reduce(torch.cat(maps, dim=1))
        attended = reduced + self.spatial(reduced.mean(dim=1, keepdim=True))
        weights_B4HW = self.scale(attended)
        return torch.cat([m * weights_B4HW[:, i : i + 1] for i, m in enumerate(maps)], dim=1)
