"""Weights that somebody has trained already, as a network of this package."""

import hashlib
import math
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from torch import nn

from detector.config.loading import apply_params
from detector.config.schema import Config
from detector.errors import ConfigError
from detector.model.checkpoint import ModelCheckpoint, Origin
from detector.model.dbnet import DBNet
from detector.model.layers import ScalarAffine
from detector.model.onnx_weights import assign, read_layers
from detector.model.pp_lcnet import PPLCNetV3
from detector.model.published import (
    CHECKPOINT,
    PPOCR_V4_MOBILE,
    PUBLISHED,
    Published,
    require_start,
)
from detector.model.rse_fpn import RSEFPN

_SOFTER = 10.0
_THRESHOLD = 0.3
_PART_OF_MAP = 0.1
_WITH_WEIGHTS = nn.Conv2d | nn.ConvTranspose2d | ScalarAffine


def published_model(published: Published, config: Config, data_digest: str) -> ModelCheckpoint:
    """A published detector as if it had been trained here, for no epoch.

    Args:
        config: how pages are scaled, and whatever else is not the network's own.
        data_digest: of the manifest that it is measured by.

    Raises:
        MissingExtraError: no package is installed that has it.
        ConfigError: the package has another network under this name.
    """
    file = published.require_file()
    adapted = as_published(config, published)
    network = DBNet(adapted.models, pretrained=False)
    read_pp_ocr(file, network)
    return ModelCheckpoint(
        config=adapted,
        weights=network.state_dict(),
        data_digest=data_digest,
        fold=None,
        epoch=0,
        metrics={},
        origin=Origin(published.name, _sha256(file), published.licence, published.source),
    )


def as_published(config: Config, published: Published) -> Config:
    """A configuration with a published network in place of its own."""
    whole = {"models.encoder.pretrained": False, "models.decoder.adaptive_scale_fusion": False}
    return apply_params(config, {**published.settings(), **whole})


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def start_from(config: Config, network: DBNet) -> Origin | None:
    """Give a network that is to be trained the weights that `models.init` names, if it names any.

    Returns:
        Where they come from, None where they stay as they were drawn.

    Raises:
        MissingExtraError: no package is installed that has the published detector.
        ConfigError: there is no such file, or it has another network.
    """
    init = config.models.init
    if init is None:
        return None
    file = require_start(config, init)
    if file.suffix == CHECKPOINT:
        return _start_from_checkpoint(file, network)
    read_pp_ocr(file, network)
    _make_trainable(network)
    published = PUBLISHED.get(init)
    name, licence = (published.name, published.licence) if published else (file.name, "unknown")
    return Origin(name, _sha256(file), licence, (published or PPOCR_V4_MOBILE).source)


def _start_from_checkpoint(file: Path, network: DBNet) -> Origin:
    checkpoint = ModelCheckpoint.load(file)
    try:
        network.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        encoder = checkpoint.config.models.encoder.model_name
        channels = checkpoint.config.models.decoder.inner_channels
        raise ConfigError(
            "its weights are those of another network",
            where=f"models.init={file}",
            remedy=f"set models.encoder.model_name={encoder} and "
            f"models.decoder.inner_channels={channels}, as it was trained with",
        ) from error
    before = checkpoint.origin
    return Origin(file.name, _sha256(file), before.licence if before else "", "detsweep")


def _make_trainable(network: DBNet) -> None:
    """Prepare a network that was published for inference.

    Dice loss has made its map so sure of itself (logits of a hundred) that a cross entropy would
    pull it apart within some steps: softened, it has the same outlines at 0.5. The threshold map,
    which it lacks, begins as nearly even, from the same features.
    """
    probability, threshold = network.probability, network.threshold
    with torch.no_grad():
        for weights in probability.last.parameters():
            weights.div_(_SOFTER)
        threshold.load_state_dict(probability.state_dict())
        threshold.last.weight.mul_(_PART_OF_MAP)
        assert threshold.last.bias is not None
        threshold.last.bias.fill_(math.log(_THRESHOLD / (1 - _THRESHOLD)))


def read_pp_ocr(file: Path, network: DBNet) -> None:
    """Give a network the weights of an ONNX file of PP-OCR's mobile detectors, of version 4 or 5.

    The file has no threshold map, so that this branch is left as it is.

    Raises:
        ConfigError: the file has another network.
    """
    try:
        assign(list(read_layers(onnx.load(file).graph)), pp_ocr_layers(network))
    except (OSError, DecodeError, ValueError) as error:
        raise ConfigError(
            f"not a detector that can be taken over: {error}",
            where=str(file),
            remedy="give the ONNX file of PP-OCRv4's or PP-OCRv5's mobile detector",
        ) from error
    assert isinstance(network.encoder, PPLCNetV3)
    with torch.no_grad():
        # From blue, green and red to red, green and blue.
        stem = network.encoder.stem.weight
        stem.copy_(stem.flip(1))


def pp_ocr_layers(network: DBNet) -> list[nn.Module]:
    """The layers of a network in the order in which PP-OCR's files have them: the neck from the
    coarsest scale to the finest."""
    neck = network.decoder
    assert isinstance(neck, RSEFPN)
    parts = [
        network.encoder,
        *reversed(neck.laterals),
        *reversed(neck.outputs),
        network.probability,
    ]
    return [m for part in parts for m in part.modules() if isinstance(m, _WITH_WEIGHTS)]
