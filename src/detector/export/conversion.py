"""An exported model in fewer bits, alone: what int8 costs is measured before it is handed out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from detector.config.loading import config_from_tree
from detector.data.page import Page
from detector.detecting.inference import Image, network_input, network_inputs
from detector.errors import ExportError
from detector.export.bits import Precision
from detector.export.engines import open_engine
from detector.export.model import Model
from detector.export.precision import write_float16, write_int8

CALIBRATION_PAGES = 12
"""Enough for the ranges of activations: a page has thousands of positions."""


def write_fewer_bits(
    model: Path, path: Path, precision: Precision, sample: Image, training: Sequence[Page]
) -> None:
    """Write a float32 model in float16 or int8, with its card.

    Args:
        sample: a page that the files' maps are compared on.
        training: pages that int8 takes the ranges of activations from.

    Raises:
        ExportError: the model has fewer bits already.
    """
    _require_float32(model)
    card = Model(model).card
    data = config_from_tree(card.config).data
    if precision is Precision.FLOAT16:
        write_float16(model, path)
    else:
        write_int8(model, path, network_inputs(training, data, CALIBRATION_PAGES))
    picture = network_input(sample, data)
    difference = np.abs(open_engine(path)(picture) - open_engine(model)(picture)).max()
    # The scores are those of the float32 file.
    name = f"{card.name}, {precision}"
    Model.write(path, replace(card, name=name, parity=float(difference), scores={}))


def _require_float32(model: Path) -> None:
    graph = onnx.load(model).graph
    is_half = any(t.data_type == onnx.TensorProto.FLOAT16 for t in graph.initializer)
    if is_half or any(node.op_type == "QuantizeLinear" for node in graph.node):
        raise ExportError(
            "it has fewer bits than float32 already",
            where=str(model),
            remedy="export the float32 model, or the best.ckpt that it was made of",
        )
