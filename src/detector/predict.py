"""Text detection with an exported model: onnxruntime only, no torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from detector.export.card import Card
from detector.export.session import open_session
from detector.inference import Image, detect_text, normalise
from detector.postprocess import Detections


@dataclass(frozen=True)
class Detector:
    """A model that finds text, with the card that says how to use it."""

    session: onnxruntime.InferenceSession
    card: Card

    @classmethod
    def load(cls, path: Path) -> "Detector":
        """Open a model that detsweep exported.

        Raises:
            ExportError: the file is missing, no ONNX model, or has no card.
        """
        session = open_session(path)
        metadata = session.get_modelmeta().custom_metadata_map
        return cls(session, Card.from_metadata(metadata, str(path)))

    def detect(self, image: Image) -> Detections:
        """The text on an (H, W, 3) uint8 RGB image, in the image's own pixels."""
        card = self.card
        return detect_text(
            image, self.probability_map, card.resize_rule(), card.postprocess_settings()
        )

    def probability_map(self, picture: Image) -> NDArray[np.float32]:
        """(H, W) float32 map of an (H, W, 3) picture whose sides are multiples of 32."""
        name = self.session.get_inputs()[0].name
        inputs = normalise(picture, self.card.mean, self.card.std)
        (maps,) = self.session.run(None, {name: inputs})
        return np.asarray(maps[0], np.float32)
