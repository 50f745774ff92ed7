"""Weights that somebody has trained already, as a network of this package."""

import hashlib
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from torch import nn

from detector.config.schema import PP_LCNET_V3, Config, DecoderConfig, EncoderConfig
from detector.errors import ConfigError
from detector.model.checkpoint import ModelCheckpoint, Origin
from detector.model.dbnet import DBNet
from detector.model.layers import ScalarAffine
from detector.model.onnx_weights import assign, read_layers
from detector.model.pp_lcnet import PPLCNetV3
from detector.model.published import Published
from detector.model.rse_fpn import RSEFPN

_NECK_CHANNELS = 96
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
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return ModelCheckpoint(
        config=adapted,
        weights=network.state_dict(),
        data_digest=data_digest,
        fold=None,
        epoch=0,
        metrics={},
        origin=Origin(published.name, digest, published.licence, published.source),
    )


def as_published(config: Config, published: Published) -> Config:
    """A configuration with a published network in place of its own."""
    models = config.models.model_copy(
        update={
            "encoder": EncoderConfig(model_name=PP_LCNET_V3, pretrained=False),
            "decoder": DecoderConfig(inner_channels=_NECK_CHANNELS),
        }
    )
    data = config.data.model_copy(update={"mean": published.mean, "std": published.std})
    return config.model_copy(update={"models": models, "data": data})


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
