"""Draw what a model finds: the photo at the left, its outlines at the right.

python examples/draw_outlines.py MODEL.onnx PHOTO.jpg PICTURE.png
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector import Detector
from detector.data.images import read_image
from detector.evaluation.overlay import draw_overlay

COLORS = 64
"""A photo of paper needs no more, and the file becomes small."""


def beside_its_outlines(photo: NDArray[np.uint8], detector: Detector) -> NDArray[np.uint8]:
    """The (H, W, 3) uint8 RGB photo, and beside it the same with its outlines: (H, 2 W, 3)."""
    found = detector(photo)
    return np.concatenate([photo, draw_overlay(photo, found.polygons)], axis=1)


def main(model: str, photo: str, picture: str) -> None:
    """Write the picture as a PNG of few colors."""
    detector = Detector(model)
    pixels = read_image(Path(photo), detector.card.max_pixels())
    drawn = Image.fromarray(beside_its_outlines(pixels, detector))
    # The octree keeps the outlines green, few as their pixels are.
    small = drawn.quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("photo", metavar="PHOTO.jpg")
    parser.add_argument("picture", metavar="PICTURE.png")
    main(**vars(parser.parse_args()))
