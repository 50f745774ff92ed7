"""The card of a candidate that becomes a model, or of a training that is exported alone."""

from collections.abc import Mapping, Sequence

from detector.choosing.bootstrap import Interval
from detector.config.schema import PostprocessConfig
from detector.ensemble.files import CandidateFile
from detector.evaluation.score_row import ScoreRow
from detector.export.card import Card
from detector.export.onnx import OPSET
from detector.export.revision import code_revision
from detector.model.checkpoint import ModelCheckpoint
from detector.version import __version__

_SCORES = (
    "recall",
    "precision",
    "hmean",
    "low",
    "high",
    "hmean_pages",
    "iou_hmean",
    "ms_per_page",
    "megabytes",
)
"""What a card says of a model's scores, in this order."""


def make_card(
    name: str,
    model: ModelCheckpoint,
    postprocess: PostprocessConfig,
    file: CandidateFile,
    scores: Mapping[str, float],
) -> Card:
    """The card of a file.

    Args:
        name: what the model is, for people.
        model: the checkpoint of the file's network, or of the first of them.
        postprocess: how the file's maps are read.
        scores: by name, see `Card`.
    """
    config = model.config
    return Card(
        name=name,
        detsweep=__version__,
        opset=OPSET,
        resize=config.data.resize.model_dump(mode="json"),
        mean=config.data.mean,
        std=config.data.std,
        postprocess=postprocess.model_dump(mode="json"),
        config=config.to_dict(),
        data_digest=model.data_digest,
        scores=scores,
        parity=file.parity,
        revision=code_revision(),
        maps=file.maps,
    )


def title(file: CandidateFile, folds: Sequence[str]) -> str:
    """What the model is: "fold 0, int8", "mean of maps of fold 0, fold 1"."""
    return file.name if file.made_of in folds else f"{file.name} of {', '.join(folds)}"


def score_table(row: ScoreRow, expected: Interval) -> dict[str, float]:
    """What the card says: the model's own scores, and what the choice is expected to score."""
    own = {name: getattr(row, name) for name in _SCORES}
    return own | {f"expected_{name}": value for name, value in vars(expected).items()}
