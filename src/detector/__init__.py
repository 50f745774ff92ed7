"""detsweep from Python: read labelled pages, find text with a model, train one, or run the whole
pipeline.

    from detector import DataSet, Detector

    pages = DataSet.read("receipts").pages()
    for outline in Detector("model.onnx")("photo.jpg"):
        print(outline.points, outline.score)

What is named here is the public interface. It is loaded when it is first asked for, so that
`import detector` takes neither torch nor onnxruntime.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from detector.environment import let_waiting_threads_sleep
from detector.errors import (
    ConfigError,
    DataError,
    DetsweepError,
    ExportError,
    ModelError,
    PreemptedError,
    StorageLostError,
    StoreError,
    StoreLostError,
    SweepError,
    TrainingError,
)
from detector.extras import MissingExtraError, missing_extra
from detector.unreported import report_nothing
from detector.version import __version__ as __version__

if TYPE_CHECKING:
    from detector.data.data_set import DataSet
    from detector.data.page import Page, TextBox
    from detector.detecting.postprocess import Detections, Outline
    from detector.export.detector import Detector
    from detector.export.engine import Engine
    from detector.training.run import train
    from pipelines.run import run

__all__ = [
    "ConfigError",
    "DataError",
    "DataSet",
    "Detections",
    "Detector",
    "DetsweepError",
    "Engine",
    "ExportError",
    "MissingExtraError",
    "ModelError",
    "Outline",
    "Page",
    "PreemptedError",
    "StorageLostError",
    "StoreError",
    "StoreLostError",
    "SweepError",
    "TextBox",
    "TrainingError",
    "run",
    "train",
]

report_nothing()
let_waiting_threads_sleep()

_HOMES = {
    "DataSet": "detector.data.data_set",
    "Detections": "detector.detecting.postprocess",
    "Detector": "detector.export.detector",
    "Engine": "detector.export.engine",
    "Outline": "detector.detecting.postprocess",
    "Page": "detector.data.page",
    "TextBox": "detector.data.page",
    "train": "detector.training.run",
    # The pipeline stands above this package; nothing else here knows it.
    "run": "pipelines.run",
}

# Hidden from type checkers, to whom every name would exist otherwise.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            value = getattr(import_module(_HOMES[name]), name)
        except ModuleNotFoundError as error:
            raise missing_extra(error) or error from None
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
