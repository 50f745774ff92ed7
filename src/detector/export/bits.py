"""How many bits a model's numbers have. How a file gets fewer: `detector.export.precision`."""

from enum import StrEnum


class Precision(StrEnum):
    """Of a file's weights and activations; its input and output are float32 in any."""

    FLOAT32 = "fp32"
    FLOAT16 = "fp16"
    INT8 = "int8"
