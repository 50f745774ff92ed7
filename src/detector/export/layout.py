"""An exported network as other programs load it: RapidOCR, and OpenCV's `TextDetectionModel_DB`.

Both give it pictures as PP-OCR's detectors take them: (B, 3, H, W) float32 in the order blue,
green, red, from -1 to 1. What a network of ours wants instead becomes its first node, a
convolution of one pixel. RapidOCR reads a map of (B, 1, H, W). OpenCV reads one of (H, W): of
another shape its versions 4.12 and 5.0 find nothing or fail, PP-OCR's own detectors included.
"""

from collections.abc import MutableSequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from detector.errors import ExportError
from detector.export.card import Card
from detector.export.layout_names import Layout
from detector.export.model import Model

SCALE, SHIFT = 0.5, 0.5
"""A pixel's share of 255 is what these programs give, times the one and plus the other."""


def write_layout(model: Path, path: Path, layout: Layout) -> None:
    """Write an exported model for RapidOCR or OpenCV.

    It has no card, for what a card says of its input is no longer true; how outlines are read from
    its map stands in its metadata.

    Raises:
        ExportError: `model` is none that detsweep exported, or draws several maps.
    """
    card = Model(model).card
    if card.maps > 1:
        raise ExportError(
            f"it draws {card.maps} maps of a page, where other programs read one",
            where=str(model),
            remedy="export a best.ckpt, or the model of one training",
        )
    loaded = onnx.load(model)
    _take_minus_one_to_one(loaded.graph, card)
    _give_map(loaded.graph, layout)
    del loaded.metadata_props[:]
    settings = {f"detsweep.{name}": str(value) for name, value in card.postprocess.items()}
    helper.set_model_props(loaded, {"detsweep.layout": layout.value, **settings})
    onnx.checker.check_model(loaded, full_check=True)
    onnx.save(loaded, path)


def _take_minus_one_to_one(graph: onnx.GraphProto, card: Card) -> None:
    mean, std = np.asarray(card.mean), np.asarray(card.std)
    # Its columns are blue, green and red; its rows are red, green and blue.
    weights = np.diag(SCALE / std)[:, ::-1].reshape(3, 3, 1, 1)
    tensors = {"layout_weights": weights, "layout_shift": (SHIFT - mean) / std}
    given = graph.input[0].name
    taken = f"{given}_normalised"
    for node in graph.node:
        _rename(node.input, given, taken)
    first = helper.make_node("Conv", [given, *tensors], [taken], kernel_shape=[1, 1])
    graph.node.insert(0, first)
    graph.initializer.extend(
        numpy_helper.from_array(tensor.astype(np.float32), name) for name, tensor in tensors.items()
    )


def _give_map(graph: onnx.GraphProto, layout: Layout) -> None:
    (output,) = graph.output
    name, drawn = output.name, f"{output.name}_drawn"
    for node in graph.node:
        _rename(node.input, name, drawn)
        _rename(node.output, name, drawn)
    is_flat = layout is Layout.OPENCV
    axis = numpy_helper.from_array(np.array([0 if is_flat else 1], np.int64), "layout_axis")
    graph.initializer.append(axis)
    kind = "Squeeze" if is_flat else "Unsqueeze"
    graph.node.append(helper.make_node(kind, [drawn, axis.name], [name]))
    sides: list[str | int | None] = (
        ["height", "width"] if is_flat else ["batch", 1, "height", "width"]
    )
    output.CopyFrom(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides))
    if is_flat:
        graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _rename(names: MutableSequence[str], old: str, new: str) -> None:
    for i, name in enumerate(names):
        if name == old:
            names[i] = new
