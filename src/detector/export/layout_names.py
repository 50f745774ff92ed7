"""For which programs a model is written: see `detector.export.layout`, which loads onnx."""

from enum import StrEnum


class Layout(StrEnum):
    """What a file takes and gives."""

    DETSWEEP = "detsweep"
    RAPIDOCR = "rapidocr"
    OPENCV = "opencv"
