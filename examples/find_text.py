"""Find the text on an image.

python examples/find_text.py MODEL.onnx PHOTO.jpg
"""

import argparse

from detector import Detector

parser = argparse.ArgumentParser()
parser.add_argument("model", metavar="MODEL.onnx")
parser.add_argument("photo", metavar="PHOTO.jpg")
given = parser.parse_args()
detector = Detector(given.model)
for outline in detector(given.photo):
    print(outline.points.round().tolist(), round(outline.score, 2))
