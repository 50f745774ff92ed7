"""The backbone: any timm network that gives feature maps at strides 4, 8, 16 and 32."""

import timm
from timm.models import FeatureInfo
from torch import Tensor, nn

from detector.config.schema import EncoderConfig
from detector.errors import ConfigError

STRIDES = (4, 8, 16, 32)


class Encoder(nn.Module):
    """timm features of an image.

    Attributes:
        channels: of the four feature maps, finest first.

    Raises:
        ConfigError: timm does not know the name, or the network lacks one of the strides.
    """

    def __init__(self, config: EncoderConfig, *, pretrained: bool | None = None):
        super().__init__()
        use_weights = config.pretrained if pretrained is None else pretrained
        indices = _indices_of_strides(config.model_name)
        self.features = timm.create_model(
            config.model_name, pretrained=use_weights, features_only=True, out_indices=indices
        )
        self.channels = _feature_info(self.features).channels()

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        return self.features(image_B3HW)


def _indices_of_strides(model_name: str) -> tuple[int, ...]:
    if not timm.is_model(model_name):
        similar = timm.list_models(f"*{model_name.partition('_')[0]}*")[:8]
        raise ConfigError(
            f"timm has no model {model_name!r}",
            where="models.encoder.model_name",
            remedy=f"similar names: {', '.join(similar) or 'none; see timm.list_models()'}",
        )
    probe = timm.create_model(model_name, pretrained=False, features_only=True)
    reductions = _feature_info(probe).reduction()
    missing = [stride for stride in STRIDES if stride not in reductions]
    if missing:
        raise ConfigError(
            f"{model_name!r} has features at strides {reductions}, but not at {missing}",
            where="models.encoder.model_name",
            remedy="choose a network with strides 4, 8, 16 and 32, such as resnet50 or hrnet_w44",
        )
    return tuple(reductions.index(stride) for stride in STRIDES)


def _feature_info(network: nn.Module) -> FeatureInfo:
    """timm hangs it on the module, where a type checker expects a tensor."""
    info = network.feature_info
    assert isinstance(info, FeatureInfo)
    return info
