"""DBNet: text detection with differentiable binarisation (Liao et al. 2020, arXiv 1911.08947).

Plain modules: encoder, decoder (neck) and two map branches. Normalisation of the image and
post-processing of the map are not part of the network.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from detector.config.schema import PP_LCNET_V3, ModelsConfig
from detector.model.decoder import Decoder
from detector.model.encoder import Encoder
from detector.model.head import MapBranch
from detector.model.pp_lcnet import PPLCNetV3
from detector.model.rse_fpn import RSEFPN


class Maps(NamedTuple):
    """What the network says while it trains; each (B, H, W) float, before the sigmoid."""

    probability_logits: Tensor
    threshold_logits: Tensor


class DBNet(nn.Module):
    """Text detector.

    Args:
        config: encoder, decoder and head.
        pretrained: overrides `config.encoder.pretrained`; False where weights are loaded anyway.
    """

    def __init__(self, config: ModelsConfig, *, pretrained: bool | None = None):
        super().__init__()
        self.encoder, self.decoder = _encoder_and_decoder(config, pretrained)
        # A published network for inference has no batch normalisation left.
        normalised = not isinstance(self.decoder, RSEFPN)
        channels = self.decoder.channels
        self.probability = MapBranch(channels, prior=0.1, normalised=normalised)
        self.threshold = MapBranch(channels, prior=0.3, normalised=normalised)

    def forward(self, image_B3HW: Tensor) -> Maps:
        """Both maps of normalised images whose sides are multiples of 32."""
        fused = self.decoder(self.encoder(image_B3HW))
        return Maps(self.probability(fused).squeeze(1), self.threshold(fused).squeeze(1))

    def probability_map(self, image_B3HW: Tensor) -> Tensor:
        """(B, H, W) probability of (shrunk) text; all that inference needs."""
        fused = self.decoder(self.encoder(image_B3HW))
        return torch.sigmoid(self.probability(fused).squeeze(1))


def _encoder_and_decoder(
    config: ModelsConfig, pretrained: bool | None
) -> tuple[Encoder | PPLCNetV3, Decoder | RSEFPN]:
    if config.encoder.model_name != PP_LCNET_V3:
        encoder = Encoder(config.encoder, pretrained=pretrained)
        return encoder, Decoder(encoder.channels, config.decoder)
    published = PPLCNetV3()
    return published, RSEFPN(published.channels, config.decoder.inner_channels)
