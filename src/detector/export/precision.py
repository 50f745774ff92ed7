"""The same network in fewer bits: half the file in float16, a third of it in int8.

float16 is what GPUs are fast in; a processor computes it in float32. int8 is what processors are
fast in, most of all those with AVX-512 VNNI. What either costs is measured like any other
candidate's score: see `detector.ensemble`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from detector.export.model import INPUT
from detector.storage.scratch import scratch_folder


def write_float16(source: Path, path: Path) -> None:
    """Write the float32 network of `source` in float16 to `path`."""
    model = convert_float_to_float16(onnx.load(source), keep_io_types=True)
    # The casts of input and output are put behind the nodes that they feed.
    OnnxModel(model).topological_sort()
    onnx.save(model, path)


def write_int8(source: Path, path: Path, pictures: Iterable[NDArray[Any]]) -> None:
    """Write the float32 network of `source` in int8 to `path`, by static quantisation.

    Args:
        pictures: (1, 3, H, W) float32 inputs of the kind that the network is for: the ranges of
            its activations are taken from what it makes of them.
    """
    with scratch_folder("int8") as scratch:
        prepared = scratch / "prepared.onnx"
        # Sides are symbols that its own inference of shapes cannot follow through the resizing.
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            _Pictures(pictures),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Products of 8 by 8 bits overflow where a processor has AVX2 and no VNNI.
            reduce_range=True,
        )


class _Pictures(CalibrationDataReader):
    """Pictures in the shape that onnxruntime asks for them."""

    def __init__(self, pictures: Iterable[NDArray[Any]]):
        self._pictures: Iterator[NDArray[Any]] = iter(pictures)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        picture = next(self._pictures, None)
        return None if picture is None else {INPUT: picture}
