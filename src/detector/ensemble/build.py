"""From the folds' checkpoints to one model: export each candidate, measure it, choose, write."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector import __version__
from detector.choosing import Interval, PageScores, score
from detector.choosing.candidates import BALANCE, Candidate, choose_candidate, cross_fit
from detector.config.schema import DataConfig, PostprocessConfig
from detector.console import say
from detector.data.folds import Folds
from detector.data.images import read_image
from detector.data.page import Page
from detector.engines import open_engine
from detector.ensemble.networks import candidate_networks
from detector.ensemble.thresholds import Tuned, tune_thresholds
from detector.errors import DataError
from detector.export.card import Card
from detector.export.markdown import card_as_markdown
from detector.export.onnx import OPSET, MeanOfMaps, export_onnx, measure_parity, write_card
from detector.export.revision import code_revision
from detector.inference import Image, ProbabilityMap, detect_text, network_input, normalise
from detector.postprocess import Detections
from detector.scoring import Scores, score_pages
from detector.storage import write_atomically
from detector.training.checkpoint import ModelCheckpoint

_IOU = 0.5


@dataclass(frozen=True)
class CandidateScore:
    """How well one candidate found the text of the held-out pages; scores from 0 to 1.

    Attributes:
        name: "fold 0", "mean of weights", "mean of maps".
        recall, precision, hmean: CLEval over all pages together.
        low, high: the 95 % interval of `hmean`.
        hmean_pages: the mean of the pages' own H-Means.
        iou_hmean: H-Mean of matches at IoU >= 0.5.
        ms_per_page: from pixels to outlines.
    """

    name: str
    recall: float
    precision: float
    hmean: float
    low: float
    high: float
    hmean_pages: float
    iou_hmean: float
    ms_per_page: float


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
        parity: its largest difference to torch's probability map.
    """

    candidates: tuple[CandidateScore, ...]
    chosen: str
    reason: str
    pages: PageScores
    tuned: Tuned
    model: Path
    parity: float


@dataclass(frozen=True)
class _Exported:
    """A candidate in its file, which joins so many networks."""

    file: Path
    networks: int
    parity: float


@dataclass(frozen=True)
class _Measured:
    exported: _Exported
    pages: PageScores
    score: CandidateScore


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
        exported = {
            name: _export(network, sample, Path(scratch) / f"{name}.onnx")
            for name, network in candidate_networks(models, folds.training(None))
        }
        tuned = tune_thresholds(
            {name: _probability_map(exported[name].file, data) for name in models},
            left_out,
            data,
            own,
        )
        say(tuned.reason)
        measured = {
            name: _measure(name, candidate, data, tuned.postprocess, folds.held_out)
            for name, candidate in exported.items()
        }
        candidates = _candidates(list(measured.values()))
        chosen, reason = choose_candidate(candidates, prefer)
        pages = cross_fit(candidates, prefer)
        taken = measured[chosen]
        card = _card(
            chosen,
            list(models),
            first,
            tuned.postprocess,
            taken.exported.parity,
            _score_table(taken, score(pages)),
        )
        write_card(taken.exported.file, card)
        path = out_dir / "model.onnx"
        write_atomically(path, taken.exported.file.read_bytes())
    write_atomically(out_dir / "card.json", card.to_json().encode())
    write_atomically(out_dir / "card.md", card_as_markdown(card).encode())
    scores = tuple(m.score for m in measured.values())
    return EnsembleResult(scores, chosen, reason, pages, tuned, path, taken.exported.parity)


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
    exported = _export(MeanOfMaps([model.build_model()]), picture, path)
    name = "all folds" if model.fold is None else f"without fold {model.fold}"
    write_card(path, _card(name, [name], model, postprocess, exported.parity, model.metrics))
    return path


def _export(network: MeanOfMaps, sample: NDArray[np.float32], file: Path) -> _Exported:
    export_onnx(network, file)
    return _Exported(file, len(network.networks), measure_parity(network, file, sample))


def _probability_map(file: Path, data: DataConfig) -> ProbabilityMap:
    """What the file does to a padded page."""
    run = open_engine(file)
    return lambda picture: run(normalise(picture, data.mean, data.std))[0]


def _measure(
    name: str,
    exported: _Exported,
    data: DataConfig,
    postprocess: PostprocessConfig,
    held_out: Sequence[Page],
) -> _Measured:
    """Measure what a candidate's file does."""
    probability_map = _probability_map(exported.file, data)

    def detect(image: Image) -> Detections:
        return detect_text(image, probability_map, data.resize, postprocess)

    # The first page takes longer: memory is laid out, kernels are compiled.
    detect(read_image(held_out[0].image, data.max_pixels))
    scores = score_pages(held_out, detect, data.max_pixels, [_IOU])
    pages = PageScores.of(held_out, scores.cleval)
    row = _score(name, scores, score(pages))
    say(
        f"{name}: CLEval H-Mean {row.hmean:.4f} ({row.low:.4f} to {row.high:.4f}), "
        f"IoU>={_IOU} H-Mean {row.iou_hmean:.4f}, {row.ms_per_page:.0f} ms a page"
    )
    return _Measured(exported, pages, row)


def _candidates(measured: Sequence[_Measured]) -> list[Candidate]:
    """What is chosen from. Candidates of as many networks are equally fast: where they were
    measured otherwise, the machine was busy with something else."""
    fastest = {
        networks: min(m.score.ms_per_page for m in measured if m.exported.networks == networks)
        for networks in {m.exported.networks for m in measured}
    }
    return [Candidate(m.score.name, m.pages, fastest[m.exported.networks]) for m in measured]


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


def _score(name: str, scores: Scores, interval: Interval) -> CandidateScore:
    return CandidateScore(
        name=name,
        recall=scores.cleval.recall,
        precision=scores.cleval.precision,
        hmean=interval.value,
        low=interval.low,
        high=interval.high,
        hmean_pages=scores.cleval.hmean_pages,
        iou_hmean=scores.iou[_IOU].hmean,
        ms_per_page=scores.ms_per_page,
    )


def _score_table(taken: _Measured, expected: Interval) -> dict[str, float]:
    """What the card says: the model's own scores, and what the choice is expected to score."""
    table = {k: v for k, v in vars(taken.score).items() if isinstance(v, float)}
    of_choice = {f"expected_{name}": value for name, value in vars(expected).items()}
    return {k: v for k, v in (table | of_choice).items() if not math.isnan(v)}


def _card(
    name: str,
    folds: Sequence[str],
    model: ModelCheckpoint,
    postprocess: PostprocessConfig,
    parity: float,
    scores: Mapping[str, float],
) -> Card:
    config = model.config
    return Card(
        name=name if name in folds else f"{name} of {', '.join(folds)}",
        detsweep=__version__,
        opset=OPSET,
        resize=config.data.resize.model_dump(mode="json"),
        mean=config.data.mean,
        std=config.data.std,
        postprocess=postprocess.model_dump(mode="json"),
        config=config.to_dict(),
        data_digest=model.data_digest,
        scores=scores,
        parity=parity,
        revision=code_revision(),
    )
