"""Text detection with an exported model: onnxruntime or OpenVINO, no torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.detecting.inference import Image, detect_text, normalise
from detector.detecting.postprocess import Detections
from detector.export.card import Card
from detector.export.engines import Engine, Run, open_engine


@dataclass(frozen=True)
class Detector:
    """A model that finds text, with the card that says how to use it."""

    run: Run
    card: Card

    @classmethod
    def load(cls, path: Path, engine: Engine = Engine.ONNXRUNTIME) -> "Detector":
        """Open a model that detsweep exported.

        Raises:
            ExportError: the file is missing, no ONNX model, or has no card, or the engine is not
                installed.
        """
        return cls(open_engine(path, engine), Card.inside(path))

    def detect(self, image: Image) -> Detections:
        """The text on an (H, W, 3) uint8 RGB image, in the image's own pixels."""
        card = self.card
        return detect_text(
            image, self.probability_map, card.resize_rule(), card.postprocess_settings()
        )

    def probability_map(self, picture: Image) -> NDArray[np.float32]:
        """(H, W) float32 map of an (H, W, 3) picture whose sides are multiples of 32, or of a
        consensus (K, H, W)."""
        return self.run(normalise(picture, self.card.mean, self.card.std))[0]
