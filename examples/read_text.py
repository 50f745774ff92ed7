"""Read the text of a photo: RapidOCR, with a model of detsweep as its detector.

    python examples/read_text.py MODEL.onnx PHOTO.jpg

RapidOCR's wheel has PP-OCRv4's recogniser in it. It asks for another build of OpenCV than
detsweep's, which does as well:

    pip install --no-deps rapidocr-onnxruntime==1.4.4
    pip install six tqdm
"""

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from detector import Detections, Detector

Image = NDArray[np.uint8]


class Line(NamedTuple):
    """A piece of text: its (4, 2) float32 outline in pixels of the photo, and what it says."""

    box: NDArray[np.float32]
    text: str
    score: float


class DetectorOfRapidOCR:
    """What RapidOCR calls to find text, with any detector of ours behind it."""

    def __init__(self, detector: Callable[[Image], Detections]):
        self._detector = detector

    def __call__(self, image: Image) -> tuple[NDArray[np.float32], float]:
        """The (N, 4, 2) boxes of an (H, W, 3) BGR image, and how many seconds it took."""
        start = time.perf_counter()
        found = self._detector(np.ascontiguousarray(image[..., ::-1]))
        boxes = [_as_quad(outline.points) for outline in found]
        return np.array(boxes, np.float32).reshape(-1, 4, 2), time.perf_counter() - start


def _as_quad(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """A polygon's smallest rectangle; a quad is one already, clockwise from the top left."""
    if len(points) == 4:
        return points
    return np.asarray(cv2.boxPoints(cv2.minAreaRect(points)), np.float32)


def read_text(photo: str, detector: Callable[[Image], Detections]) -> list[Line]:
    """The text of a photo from top to bottom, as the detector outlines it."""
    # Nothing else needs it, and it is installed apart.
    from rapidocr_onnxruntime import RapidOCR  # noqa: PLC0415

    engine = RapidOCR()
    engine.text_det = DetectorOfRapidOCR(detector)
    lines, _ = engine(photo)
    return [Line(np.array(box, np.float32), text, float(score)) for box, text, score in lines or []]


def main(model: str, photo: str) -> None:
    """Print each piece of text, with its outline."""
    for line in read_text(photo, Detector(model)):
        print(f"{line.text}\t{line.score:.2f}\t{line.box.round().astype(int).tolist()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("photo", metavar="PHOTO.jpg")
    main(**vars(parser.parse_args()))
