"""Which engines there are to run an exported network; `engines` has what they need."""

from enum import StrEnum


class Engine(StrEnum):
    """onnxruntime runs on a GPU where it has one, else on the processor; OpenVINO on the processor
    alone, where it has bfloat16 several times as fast as in float32."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    OPENVINO_BF16 = "openvino-bf16"
