"""The model of one training as an ONNX file, without an ensemble."""

from pathlib import Path

from detector.data.images import read_image
from detector.data.page import Page
from detector.detecting.inference import Image
from detector.ensemble.card import make_card
from detector.ensemble.files import export_candidate
from detector.export.model import Model
from detector.export.onnx import MeanOfMaps
from detector.model.checkpoint import ModelCheckpoint


def export_training(checkpoint: Path, page: Page, path: Path) -> Path:
    """Write the model of one training as an ONNX file, card included.

    Args:
        checkpoint: `TrainResult.checkpoint`, or a `best.ckpt`.
        page: the file's map of it is compared with the network's.
        path: the file to write.

    Returns:
        `path`.

    Raises:
        TrainingError: `checkpoint` holds no model.
        ExportError: the exported model differs from it by more than rounding.
    """
    image = read_image(page.image, ModelCheckpoint.load(checkpoint).config.data.max_pixels)
    return export_checkpoint(checkpoint, image, path)


def export_checkpoint(checkpoint: Path, sample: Image, path: Path) -> Path:
    """`export_training` with any picture to compare on.

    Args:
        sample: (H, W, 3) uint8 RGB.
    """
    model = ModelCheckpoint.load(checkpoint)
    name = "all folds" if model.fold is None else f"without fold {model.fold}"
    network = MeanOfMaps([model.build_model()])
    file = export_candidate(name, network, model, sample, path.parent)
    Model.write(file.path, make_card(name, file, model.metrics))
    return file.path.replace(path)
