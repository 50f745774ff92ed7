"""The backbone: any timm network that gives feature maps at strides 4, 8, 16 and 32."""

import difflib

import timm
from timm.models import FeatureInfo
from torch import Tensor, nn

from detector.config.schema import PP_LCNET_V3, EncoderConfig
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
        require_known(config.model_name)
        self.features = _create(config.model_name, pretrained=use_weights)
        info = _feature_info(self.features)
        self._levels = _levels_of_strides(info.reduction(), config.model_name)
        self.channels = [info.channels()[level] for level in self._levels]

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """Feature maps at `STRIDES`, finest first."""
        features = self.features(image_B3HW)
        return [features[level] for level in self._levels]


def _create(model_name: str, *, pretrained: bool) -> nn.Module:
    """timm's backbone.

    Raises:
        ConfigError: its weights are to be downloaded, and there are none or they cannot be had.
    """
    try:
        network: nn.Module = timm.create_model(
            model_name, pretrained=pretrained, features_only=True
        )
    # A library for downloads raises OSError and classes of its own, timm a RuntimeError.
    except Exception as error:
        if not pretrained:
            raise
        raise ConfigError(
            f"timm's weights of {model_name} cannot be had: {str(error).splitlines()[0]}",
            where="models.encoder.pretrained=true",
            remedy="set models.encoder.pretrained=false, take a preset that needs no download "
            "(ppocr_v4_cpu), or run it once where huggingface.co can be reached: what was "
            "downloaded is kept",
        ) from error
    return network


def require_known(model_name: str) -> None:
    """Refuse a name that is neither PP-LCNetV3's nor known to timm.

    Raises:
        ConfigError: with the names that are nearest.
    """
    if model_name == PP_LCNET_V3 or timm.is_model(model_name):
        return
    similar = difflib.get_close_matches(model_name, [PP_LCNET_V3, *timm.list_models()], n=8)
    raise ConfigError(
        f"timm has no model {model_name!r}",
        where="models.encoder.model_name",
        remedy=f"similar names: {', '.join(similar) or 'none; see timm.list_models()'}",
    )


def _levels_of_strides(reductions: list[int], model_name: str) -> list[int]:
    """Which of a network's feature maps are those at `STRIDES`."""
    missing = [stride for stride in STRIDES if stride not in reductions]
    if missing:
        raise ConfigError(
            f"{model_name!r} has features at strides {reductions}, but not at {missing}",
            where="models.encoder.model_name",
            remedy="choose a network with strides 4, 8, 16 and 32, such as resnet50 or hrnet_w44",
        )
    return [reductions.index(stride) for stride in STRIDES]


def _feature_info(network: nn.Module) -> FeatureInfo:
    """timm hangs it on the module, where a type checker expects a tensor."""
    info = network.feature_info
    assert isinstance(info, FeatureInfo)
    return info
