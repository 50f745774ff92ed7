"""From the folds' checkpoints to one model: export each candidate, measure it, choose, write."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector import __version__
from detector.choosing import PageScores, score
from detector.choosing.candidates import (
    BALANCE,
    choose_candidate,
    cross_fit,
    within_noise_of_the_best,
)
from detector.config.schema import PostprocessConfig
from detector.console import say
from detector.data.folds import Folds
from detector.data.images import read_image
from detector.data.page import Page
from detector.detecting.inference import network_input
from detector.ensemble.files import CandidateFile, export_candidate, reduce_precision
from detector.ensemble.measure import Measured, measure_candidate, to_choose_from
from detector.ensemble.networks import candidate_networks, pictures_of
from detector.ensemble.thresholds import Tuned, tune_thresholds
from detector.errors import DataError
from detector.evaluation.score_row import ScoreRow
from detector.export.card import Card
from detector.export.markdown import card_as_markdown
from detector.export.onnx import OPSET, MeanOfMaps, write_card
from detector.export.revision import code_revision
from detector.model.checkpoint import ModelCheckpoint
from detector.storage.atomic import write_atomically

_CALIBRATION_PAGES = 12
"""Enough for the ranges of activations: a page has thousands of positions."""
_ON_THE_CARD = (
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
"""What the card says of the model's scores, in this order."""


@dataclass(frozen=True)
class EnsembleResult:
    """The exported model and what it was chosen from.

    Attributes:
        candidates: each as onnxruntime runs it.
        chosen: the name of the candidate that is the model.
        reason: why, as a half sentence.
        pages: the counts of the choice on pages that did not make it; see `cross_fit`.
        tuned: the thresholds that all of them were measured with, and that the model has.
        model: the ONNX file.
        parity: the largest difference of its probability map; see `CandidateFile`.
    """

    candidates: tuple[ScoreRow, ...]
    chosen: str
    reason: str
    pages: PageScores
    tuned: Tuned
    model: Path
    parity: float


def build_ensemble(
    checkpoints: Mapping[str, Path],
    folds: Folds,
    left_out: Mapping[str, Sequence[Page]],
    out_dir: Path,
    prefer: str = BALANCE,
) -> EnsembleResult:
    """Export every candidate, tune the thresholds, measure all on the held-out pages, keep one.

    Writes `model.onnx`, `card.json` and `card.md`.

    Args:
        checkpoints: the folds' models, by name.
        folds: the data set, of whose held-out pages no model has seen any.
        left_out: the pages that each model was not trained on, by its name.
        out_dir: where to write.
        prefer: see `choose_candidate`.

    Raises:
        DataError: the checkpoints come from different configurations.
        ConfigError: no candidate has the preferred name.
        ExportError: an exported model differs from its source by more than rounding.
    """
    models = {name: ModelCheckpoint.load(path) for name, path in checkpoints.items()}
    _require_one_input(models)
    first = next(iter(models.values()))
    data, own = first.config.data, first.config.models.head.postprocess
    sample = network_input(read_image(folds.held_out[0].image, data.max_pixels), data)
    with tempfile.TemporaryDirectory(prefix="detsweep-candidates-") as scratch:
        files = {
            name: export_candidate(name, network, sample, Path(scratch))
            for name, network in candidate_networks(models, folds.training(None))
        }
        tuned = tune_thresholds(
            {name: files[name].probability_map(data) for name in models},
            left_out,
            data,
            own,
        )
        say(tuned.reason)

        def measure(file: CandidateFile) -> Measured:
            return measure_candidate(file, data, tuned.postprocess, folds.held_out)

        measured = [measure(file) for file in files.values()]
        pictures = list(pictures_of(folds.training(None), data, _CALIBRATION_PAGES))
        for full in _worth_reducing(measured, prefer):
            measured += [measure(file) for file in reduce_precision(full, sample, pictures)]
        candidates = to_choose_from(measured)
        chosen, reason = choose_candidate(candidates, prefer)
        pages = cross_fit(candidates, prefer)
        taken = next(m for m in measured if m.file.name == chosen)
        card = _card(
            _title(taken.file, list(models)),
            first,
            tuned.postprocess,
            taken.file,
            _score_table(taken, pages),
        )
        write_card(taken.file.path, card)
        path = out_dir / "model.onnx"
        write_atomically(path, taken.file.path.read_bytes())
    write_atomically(out_dir / "card.json", card.to_json().encode())
    write_atomically(out_dir / "card.md", card_as_markdown(card).encode())
    scores = tuple(m.score for m in measured)
    return EnsembleResult(scores, chosen, reason, pages, tuned, path, taken.file.parity)


def export_training(checkpoint: Path, page: Page, path: Path) -> Path:
    """Write the model of one training as an ONNX file, card included; its path.

    Args:
        page: of those that the file's map is compared on with the network's.

    Raises:
        TrainingError: `checkpoint` is none of a model.
        ExportError: the exported model differs from it by more than rounding.
    """
    model = ModelCheckpoint.load(checkpoint)
    data, postprocess = model.config.data, model.config.models.head.postprocess
    picture = network_input(read_image(page.image, data.max_pixels), data)
    name = "all folds" if model.fold is None else f"without fold {model.fold}"
    network = MeanOfMaps([model.build_model()])
    file = export_candidate(name, network, picture, path.parent)
    write_card(file.path, _card(name, model, postprocess, file, model.metrics))
    return file.path.replace(path)


def _worth_reducing(measured: Sequence[Measured], prefer: str) -> list[CandidateFile]:
    """What is not the best by more than noise does not become it with fewer bits; but what was
    asked for by name is made."""
    tied = {candidate.name for candidate in within_noise_of_the_best(to_choose_from(measured))}
    return [m.file for m in measured if m.file.name in tied or prefer.startswith(f"{m.file.name},")]


def _require_one_input(models: Mapping[str, ModelCheckpoint]) -> None:
    """One graph has one input, so all of its networks must want the same picture."""
    wanted = {
        name: (m.config.data.resize, m.config.data.mean, m.config.data.std)
        for name, m in models.items()
    }
    first, *others = wanted.items()
    for name, settings in others:
        if settings != first[1]:
            raise DataError(
                f"{name} and {first[0]} prepare their input differently",
                where="data.resize, data.mean, data.std",
                remedy="train all folds with one configuration",
            )


def _title(file: CandidateFile, folds: Sequence[str]) -> str:
    """ "fold 0, int8", "mean of maps of fold 0, fold 1"."""
    return file.name if file.made_of in folds else f"{file.name} of {', '.join(folds)}"


def _score_table(taken: Measured, pages: PageScores) -> dict[str, float]:
    """What the card says: the model's own scores, and what the choice is expected to score."""
    own = {name: getattr(taken.score, name) for name in _ON_THE_CARD}
    return own | {f"expected_{name}": value for name, value in vars(score(pages)).items()}


def _card(
    name: str,
    model: ModelCheckpoint,
    postprocess: PostprocessConfig,
    file: CandidateFile,
    scores: Mapping[str, float],
) -> Card:
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
