"""The network: shapes for any backbone, and a head that can be learnt."""

import pytest
import torch

from detector.config.loading import load_config
from detector.errors import ConfigError
from detector.model.dbnet import DBNet
from detector.model.encoder import require_known
from detector.model.loss import TargetMaps, detection_loss

SMALL = ["models.encoder.pretrained=false", "models.decoder.inner_channels=16"]


@pytest.mark.parametrize(
    "backbone",
    ["mobilenetv3_small_050", "resnet18", "hrnet_w18_small", "convnext_atto", "pp_lcnet_v3"],
)
@pytest.mark.parametrize("fusion", ["true", "false"])
def test_both_maps_have_the_size_of_the_image(backbone: str, fusion: str) -> None:
    words = [f"models.encoder.model_name={backbone}"]
    words += [f"models.decoder.adaptive_scale_fusion={fusion}"]
    network = DBNet(load_config([*SMALL, *words]).models).eval()
    with torch.inference_mode():
        maps = network(torch.zeros(2, 3, 64, 96))
        probability = network.probability_map(torch.zeros(2, 3, 64, 96))
    assert maps.probability_logits.shape == maps.threshold_logits.shape == (2, 64, 96)
    torch.testing.assert_close(probability, torch.sigmoid(maps.probability_logits))


def test_an_unknown_backbone_is_refused_with_similar_names() -> None:
    config = load_config([*SMALL, "models.encoder.model_name=resnet_fifty"])
    with pytest.raises(ConfigError, match=r"resnet_fifty.*\n.*similar names: .*resnet"):
        DBNet(config.models)


def test_a_backbone_without_stride_4_is_refused() -> None:
    config = load_config([*SMALL, "models.encoder.model_name=vit_tiny_patch16_224"])
    with pytest.raises(ConfigError, match="strides"):
        DBNet(config.models)


def test_every_backbone_that_can_be_built_is_known() -> None:
    require_known("pp_lcnet_v3")
    require_known("resnet18")
    with pytest.raises(ConfigError, match="similar names: pp_lcnet_v3"):
        require_known("pp_lcnet_v4")


@pytest.mark.slow
def test_the_reference_takes_an_optimizer_step_at_1280() -> None:
    config = load_config(["preset=hrnet_w44_1280", "models.encoder.pretrained=false"])
    network = DBNet(config.models).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.models.optimizer.lr)
    weight = next(network.probability.parameters())
    before = weight.detach().clone()
    image = torch.randn(1, 3, 1280, 1280).contiguous(memory_format=torch.channels_last)
    target = torch.zeros(1, 1280, 1280)
    target[:, 600:640, 200:1000] = 1
    ones = torch.ones_like(target)
    loss = detection_loss(
        network(image),
        TargetMaps(target, ones, target, ones),
        config.models.loss,
        config.models.head.k,
    )
    torch.autograd.backward(loss)
    optimizer.step()
    assert torch.isfinite(loss)
    assert not torch.equal(before, weight)
