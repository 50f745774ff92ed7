"""From the folds' checkpoints to one model: measure each, join them, export, measure the export."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import __version__
from detector.console import say
from detector.data.images import read_image
from detector.data.page import Page
from detector.data.resize import pad_to_stride, resize_page
from detector.errors import DataError
from detector.export.card import Card
from detector.export.onnx import OPSET, MeanOfMaps, export_onnx, measure_parity, write_card
from detector.inference import normalise
from detector.predict import Detector
from detector.scoring import Scores, score_pages
from detector.storage import write_atomically
from detector.training.checkpoint import ModelCheckpoint
from detector.training.validate import torch_detector

MEAN_OF_MAPS = "mean of maps"
_IOU = 0.5


@dataclass(frozen=True)
class CandidateScore:
    """How well one candidate found the text of the held-out pages; scores from 0 to 1.

    Attributes:
        name: "fold 0", or "mean of maps".
        recall, precision, hmean: CLEval over all pages together.
        hmean_pages: the mean of the pages' own H-Means.
        iou_hmean: H-Mean of matches at IoU >= 0.5.
        ms_per_page: from pixels to outlines.
    """

    name: str
    recall: float
    precision: float
    hmean: float
    hmean_pages: float
    iou_hmean: float
    ms_per_page: float


@dataclass(frozen=True)
class EnsembleResult:
    """The exported model and what it was chosen from.

    Attributes:
        candidates: every fold's model as torch runs it, and the ensemble as onnxruntime does.
        chosen: the name of the candidate that was exported.
        model: the ONNX file.
        parity: its largest difference to torch's probability map.
    """

    candidates: tuple[CandidateScore, ...]
    chosen: str
    model: Path
    parity: float


def build_ensemble(
    checkpoints: Mapping[str, Path], held_out: Sequence[Page], out_dir: Path
) -> EnsembleResult:
    """Export the mean of the checkpoints' probability maps, and measure it from the ONNX file.

    The mean is taken because it is the ensemble, not because it scored best: the held-out pages
    choose nothing, so its score on them is an honest one. Writes `model.onnx` and `card.json`.

    Args:
        checkpoints: the folds' models, by name.
        held_out: pages that no fold was trained on.
        out_dir: where to write.

    Raises:
        DataError: the checkpoints come from different configurations.
        ExportError: the exported model differs from its source by more than rounding.
    """
    models = {name: ModelCheckpoint.load(path) for name, path in checkpoints.items()}
    _require_one_input(models)
    first = next(iter(models.values()))
    max_pixels = first.config.data.max_pixels

    candidates = []
    for name, model in models.items():
        detect = torch_detector(model.build_model(), first.config)
        scores = score_pages(held_out, detect, max_pixels, [_IOU])
        candidates.append(_announce(_candidate(name, scores)))

    network = MeanOfMaps([model.build_model() for model in models.values()]).eval()
    path = out_dir / "model.onnx"
    # Beside and renamed: a killed export leaves no half model behind.
    beside = out_dir / ".model.onnx.tmp"
    export_onnx(network, beside)
    parity = measure_parity(network, beside, _normalised_page(held_out[0], first))
    say(f"exported; the largest difference to torch's probability map is {parity:.1e}")

    card = _card(list(models), first, parity, scores={})
    write_card(beside, card)
    scores = score_pages(held_out, Detector.load(beside).detect, max_pixels, [_IOU])
    ensemble = _announce(_candidate(MEAN_OF_MAPS, scores))
    card = _card(list(models), first, parity, _score_table(ensemble))
    write_card(beside, card)
    beside.replace(path)
    write_atomically(out_dir / "card.json", card.to_json().encode())
    return EnsembleResult((*candidates, ensemble), MEAN_OF_MAPS, path, parity)


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


def _normalised_page(page: Page, model: ModelCheckpoint) -> np.ndarray:
    data = model.config.data
    resized = resize_page(read_image(page.image, data.max_pixels), data.resize)
    return normalise(pad_to_stride(resized.pixels), data.mean, data.std)


def _candidate(name: str, scores: Scores) -> CandidateScore:
    return CandidateScore(
        name=name,
        recall=scores.cleval.recall,
        precision=scores.cleval.precision,
        hmean=scores.cleval.hmean,
        hmean_pages=scores.cleval.hmean_pages,
        iou_hmean=scores.iou[_IOU].hmean,
        ms_per_page=scores.ms_per_page,
    )


def _announce(score: CandidateScore) -> CandidateScore:
    say(f"{score.name}: CLEval H-Mean {score.hmean:.4f}, IoU>={_IOU} H-Mean {score.iou_hmean:.4f}")
    return score


def _score_table(score: CandidateScore) -> dict[str, float]:
    return {k: v for k, v in vars(score).items() if isinstance(v, float) and not math.isnan(v)}


def _card(
    names: Sequence[str], model: ModelCheckpoint, parity: float, scores: Mapping[str, float]
) -> Card:
    config = model.config
    data = config.data.model_dump(mode="json")
    return Card(
        name=f"{MEAN_OF_MAPS} of {', '.join(names)}",
        detsweep=__version__,
        opset=OPSET,
        resize=data["resize"],
        mean=config.data.mean,
        std=config.data.std,
        postprocess=config.models.head.postprocess.model_dump(mode="json"),
        config=config.to_dict(),
        data_digest=model.data_digest,
        scores=scores,
        parity=parity,
    )
