"""What runs an exported network: onnxruntime, or OpenVINO where there is only a processor.

Both give the same maps within rounding, which is larger in bfloat16. Nothing outside this module
knows which one it is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.environment import threads
from detector.errors import ExportError
from detector.export.engine import Engine
from detector.unreported import import_openvino

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From (B, 3, H, W) normalised images, sides multiples of 32, to (B, H, W) probability maps, or the
(B, K, H, W) of an ensemble's networks."""


def open_engine(path: Path, engine: Engine = Engine.ONNXRUNTIME) -> Network:
    """Load an ONNX file's network. `OMP_NUM_THREADS` bounds the threads, as it does for torch.

    Raises:
        ConfigError: that is no number of threads.
        ExportError: the file is missing or no ONNX model, the engine is not installed, or the
            processor has no bfloat16.
    """
    at_most = threads() or 0
    try:
        if engine is Engine.ONNXRUNTIME:
            return _onnxruntime(path, at_most)
        if engine is Engine.OPENVINO_BF16:
            _require_bf16()
        return _openvino(path, "bf16" if engine is Engine.OPENVINO_BF16 else "f32", at_most)
    except ExportError:
        raise
    except ImportError as error:
        raise ExportError(
            "OpenVINO is not installed",
            where=f"--engine {engine}",
            remedy="pip install 'detsweep[openvino]', or leave --engine out",
        ) from error
    except Exception as error:  # either library raises classes of its own that share no base
        raise ExportError(
            f"cannot load the model: {error}",
            where=str(path),
            remedy="give an ONNX file that `detsweep run` wrote",
        ) from error


def _onnxruntime(path: Path, threads: int) -> Network:
    import onnxruntime  # noqa: PLC0415  # the command names its engines without loading one

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # A thread that spins while it waits takes its core from what comes around the network.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = onnxruntime.get_available_providers()
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    providers = [provider for provider in wanted if provider in available]
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    name = session.get_inputs()[0].name

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        (maps,) = session.run(None, {name: images})
        return np.asarray(maps, np.float32)

    return run


def has_bf16() -> bool:
    """Whether this processor computes in bfloat16, as OpenVINO finds it.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _require_bf16() -> None:
    if not has_bf16():
        raise ExportError(
            "this processor has no bfloat16",
            where=f"--engine {Engine.OPENVINO_BF16}",
            remedy=f"use --engine {Engine.OPENVINO}",
        )


def _openvino(path: Path, precision: str, threads: int) -> Network:
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # Where a processor has bfloat16, OpenVINO would take it unasked.
        "INFERENCE_PRECISION_HINT": precision,
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = import_openvino().Core().compile_model(path, "CPU", settings)

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        # Copied, as the next call writes over it.
        return np.array(compiled(images)[0], np.float32)

    return run
