"""Libraries that report to their makers what they are used for: asked not to, before they are
imported. Whoever sets one of these variables is asked nothing."""

import os
import sys
from typing import Any

_OFF = {
    # Or onnxruntime keeps an id of this machine and a queue of events in the user's cache.
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Of failures inside wandb; what a run logs goes to W&B where a person has asked for that.
    "WANDB_ERROR_REPORTING": "false",
}


def report_nothing() -> None:
    """Ask all libraries that read an environment variable; their children inherit it."""
    for name, value in _OFF.items():
        os.environ.setdefault(name, value)


def import_openvino() -> Any:
    """OpenVINO without the package that it reports by: it has a stand-in for that of its own.

    Raises:
        ImportError: it is not installed.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)
    import openvino  # noqa: PLC0415  # an extra

    return openvino
