"""The card of a candidate that becomes a model, or of a training that is exported alone."""

from collections.abc import Mapping, Sequence

from detector.choosing.bootstrap import Interval
from detector.ensemble.files import CandidateFile, is_untrained
from detector.evaluation.score_row import ScoreRow
from detector.export.card import Card
from detector.export.onnx import OPSET
from detector.export.revision import code_revision
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


def make_card(name: str, file: CandidateFile, scores: Mapping[str, float]) -> Card:
    """The card of a file.

    Args:
        name: what the model is, for people.
        scores: by name, see `Card`.
    """
    config, origin = file.model.config, file.model.origin
    return Card(
        name=name,
        detsweep=__version__,
        opset=OPSET,
        resize=config.data.resize.model_dump(mode="json"),
        mean=config.data.mean,
        std=config.data.std,
        postprocess=file.postprocess.model_dump(mode="json"),
        config=config.to_dict(),
        data_digest=file.model.data_digest,
        scores=scores,
        parity=file.parity,
        revision=code_revision(),
        maps=file.maps,
        origin=origin._asdict() if origin else None,
    )


def title(file: CandidateFile, folds: Sequence[str]) -> str:
    """What the model is: "fold 0, int8", "mean of maps of fold 0, fold 1"."""
    joins = file.made_of not in folds and not is_untrained(file)
    return f"{file.name} of {', '.join(folds)}" if joins else file.name


def score_table(row: ScoreRow, expected: Interval) -> dict[str, float]:
    """What the card says: the model's own scores, and what the choice is expected to score."""
    own = {name: getattr(row, name) for name in _SCORES}
    return own | {f"expected_{name}": value for name, value in vars(expected).items()}
