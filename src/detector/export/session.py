"""onnxruntime as detsweep uses it."""

import os
from pathlib import Path

import onnxruntime

from detector.errors import ExportError


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Load a model on the GPU where onnxruntime has one, else on the CPU.

    `OMP_NUM_THREADS` bounds the threads, as it does for torch.

    Raises:
        ExportError: the file is missing or no ONNX model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    available = onnxruntime.get_available_providers()
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    providers = [provider for provider in wanted if provider in available]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime raises classes of its own that share no base
        raise ExportError(
            f"cannot load the model: {error}",
            where=str(path),
            remedy="give an ONNX file that `detsweep run` wrote",
        ) from error
