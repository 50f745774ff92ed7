"""Find the text on an image.

python examples/find_text.py MODEL.onnx PHOTO.jpg
"""

import sys

from detector import Detector

model, photo = sys.argv[1:]
detector = Detector(model)
for outline in detector(photo):
    print(outline.points.round().tolist(), round(outline.score, 2))
