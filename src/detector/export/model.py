"""An exported model: an ONNX file with its card inside."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from detector.errors import ExportError, ModelError
from detector.export.card import Card

INPUT, OUTPUT = "image", "probability_map"
"""What an exported network calls them."""
_METADATA_KEY = "detsweep.card"
_FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}


@dataclass(frozen=True)
class Model:
    """An ONNX file that says how to use it.

    Attributes:
        path: of the file.
    """

    path: Path

    @classmethod
    def write(cls, path: Path, card: Card) -> "Model":
        """Put a card into an ONNX file that is there."""
        graph = onnx.load(path)
        onnx.helper.set_model_props(graph, {_METADATA_KEY: card.to_json()})
        onnx.checker.check_model(graph)
        onnx.save(graph, path)
        return cls(path)

    @cached_property
    def card(self) -> Card:
        """What the model says of itself.

        Raises:
            ExportError: the file has no card, or none that this version can read.
            ModelError: a weight is not finite.
        """
        try:
            model = onnx.load(self.path, load_external_data=False)
            if not model.graph.node:  # No bytes at all are a valid message of protobuf.
                raise DecodeError("it has no network")
        except (OSError, DecodeError) as error:
            raise ExportError(
                f"it cannot be read as an ONNX file: {error}",
                where=str(self.path),
                remedy="check the path, and that the file was copied whole",
            ) from error
        try:
            text = next(entry.value for entry in model.metadata_props if entry.key == _METADATA_KEY)
            card = Card.from_json(text)
        except (StopIteration, KeyError, TypeError, ValueError) as error:
            raise ExportError(
                "the ONNX file has no card that says how to prepare its input",
                where=str(self.path),
                remedy="use a model that `detsweep run` exported with this version",
            ) from error
        self._refuse_unsound(model.graph)
        return card

    def _refuse_unsound(self, graph: onnx.GraphProto) -> None:
        """A NaN need not reach the map: what takes the larger of it and 0 may give 0."""
        for tensor in graph.initializer:
            values = onnx.numpy_helper.to_array(tensor) if tensor.data_type in _FLOATS else None
            if values is not None and not np.isfinite(values).all():
                raise ModelError(
                    f"its weights {tensor.name} hold numbers that are not finite",
                    where=str(self.path),
                    remedy="take another model, or train it again",
                )
