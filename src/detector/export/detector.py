"""Text detection with an exported model: onnxruntime or OpenVINO, no torch."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.data.images import read_image
from detector.detecting.inference import Image, detect_text, normalise
from detector.detecting.postprocess import Detections
from detector.errors import DataError
from detector.export.engine import Engine
from detector.export.engines import open_engine
from detector.export.model import Model


class Detector:
    """A model that finds the text of images. It may be called as often as you like.

        detector = Detector("model.onnx")
        for outline in detector("photo.jpg"):
            print(outline.points, outline.score)

    Args:
        model: an ONNX file that detsweep exported.
        engine: what runs its network.

    Attributes:
        card: what the model says of itself: how to prepare an image, scores, configuration.
        network: from (B, 3, H, W) float32, normalised, sides multiples of 32, to (B, H, W) float32
            probability maps, or the (B, K, H, W) maps of a consensus.

    Raises:
        ExportError: the file is missing, is no ONNX model or has no card, or the engine is not
            installed.
    """

    def __init__(self, model: str | Path, engine: Engine = Engine.ONNXRUNTIME):
        path = Path(model)
        # First, for it says best what is wrong with a file.
        self.card = Model(path).card
        self.network = open_engine(path, engine)

    def __call__(self, image: Image | str | Path) -> Detections:
        """Find the text of one image.

        Args:
            image: (H, W, 3) uint8 RGB pixels, upright; or the path of an image file, which is
                turned upright by its EXIF orientation.

        Returns:
            The outlines with their scores, in pixels of the upright image.

        Raises:
            DataError: the array is no such image; the file cannot be read, or has more pixels than
                the model's `data.max_pixels`.
        """
        if isinstance(image, (str, Path)):
            image = read_image(Path(image), self.card.max_pixels())
        _require_rgb(image)
        card = self.card
        return detect_text(
            image, self.probability_map, card.resize_rule(), card.postprocess_settings()
        )

    def probability_map(self, picture: Image) -> NDArray[np.float32]:
        """The map of an (H, W, 3) uint8 picture whose sides are multiples of 32: (H, W) float32,
        or of a consensus (K, H, W)."""
        (of_picture,) = self.network(normalise(picture, self.card.mean, self.card.std))
        return np.asarray(of_picture)


def _require_rgb(image: Image) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DataError(
            f"the array has shape {image.shape} and type {image.dtype}",
            where="image",
            remedy="give an (H, W, 3) uint8 array in RGB, or the path of an image file",
        )
