"""From the folds' checkpoints to one model: export each candidate, measure it, choose, write."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.choosing.bootstrap import score
from detector.choosing.candidates import (
    BALANCE,
    choose_candidate,
    cross_fit,
    within_noise_of_the_best,
)
from detector.choosing.pages import PageScores
from detector.config.schema import DataConfig, PostprocessConfig
from detector.console import say
from detector.data.folds import Folds
from detector.data.images import read_image
from detector.data.page import Page
from detector.detecting.inference import network_input
from detector.ensemble.card import make_card, score_table, title
from detector.ensemble.files import CandidateFile, Picture, export_candidate, reduce_precision
from detector.ensemble.measure import Measured, in_turns, measure_candidate, to_choose_from
from detector.ensemble.networks import candidate_networks, pictures_of
from detector.ensemble.outcome import MODEL, ModelChoice
from detector.ensemble.thresholds import Tuned, tune_thresholds
from detector.errors import DataError
from detector.export.card import Card
from detector.export.markdown import card_as_markdown
from detector.export.model import Model
from detector.model.checkpoint import ModelCheckpoint
from detector.storage.atomic import write_atomically

_CALIBRATION_PAGES = 12
"""Enough for the ranges of activations: a page has thousands of positions."""


@dataclass(frozen=True)
class EnsembleResult:
    """The exported model and what it was chosen from.

    Attributes:
        choice: which of the candidates it is, each as onnxruntime runs it.
        pages: the counts of the choice on pages that did not make it; see `cross_fit`.
        tuned: the thresholds that all of them were measured with, and that the model has.
        model: the ONNX file.
        parity: the largest difference of its probability map; see `CandidateFile`.
    """

    choice: ModelChoice
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

    Writes `model.onnx`, and `card.md` for people.

    Args:
        checkpoints: the folds' models, by name.
        folds: the data set. No model has seen any of its held-out pages.
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
        files = _export_all(models, folds, sample, Path(scratch))
        maps = {name: files[name].probability_map(data) for name in models}
        tuned = tune_thresholds(maps, left_out, data, own)
        say(tuned.reason)
        bench = _Bench(data, tuned.postprocess, folds, sample)
        measured = bench.measure_all(files.values(), prefer)
        candidates = to_choose_from(measured)
        chosen, reason = choose_candidate(candidates, prefer)
        pages = cross_fit(candidates, prefer)
        taken = next(m for m in measured if m.file.name == chosen)
        expected = score(pages)
        scores = score_table(taken.score, expected)
        name = title(taken.file, list(models))
        card = make_card(name, first, tuned.postprocess, taken.file, scores)
        model = _write_model(taken.file, card, out_dir)
    rows = [m.score for m in measured]
    choice = ModelChoice(rows, chosen, reason, tuned.reason, expected)
    return EnsembleResult(choice, pages, tuned, model, taken.file.parity)


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


def _export_all(
    models: Mapping[str, ModelCheckpoint], folds: Folds, sample: Picture, folder: Path
) -> dict[str, CandidateFile]:
    """Every candidate in float32, by name."""
    return {
        name: export_candidate(name, network, sample, folder)
        for name, network in candidate_networks(models, folds.training(None))
    }


@dataclass(frozen=True)
class _Bench:
    """Measures candidates under the same conditions.

    Attributes:
        data: how they take a page.
        postprocess: how their maps are read.
        folds: the data set, whose held-out pages they are measured on.
        sample: a page that files of fewer bits are compared on.
    """

    data: DataConfig
    postprocess: PostprocessConfig
    folds: Folds
    sample: Picture

    def measure_all(self, files: Iterable[CandidateFile], prefer: str) -> list[Measured]:
        """Each file, then those that deserve it with fewer bits."""
        measured = [self._measure(file) for file in files]
        pictures = list(pictures_of(self.folds.training(None), self.data, _CALIBRATION_PAGES))
        for full in _worth_reducing(measured, prefer):
            reduced = reduce_precision(full, self.sample, pictures)
            measured += [self._measure(file) for file in reduced]
        return in_turns(measured, self.data, self.postprocess, self.folds.held_out)

    def _measure(self, file: CandidateFile) -> Measured:
        return measure_candidate(file, self.data, self.postprocess, self.folds.held_out)


def _worth_reducing(measured: Sequence[Measured], prefer: str) -> list[CandidateFile]:
    """A candidate that is not the best, by more than noise, does not become it with fewer bits;
    but one that was asked for by name is made."""
    tied = {candidate.name for candidate in within_noise_of_the_best(to_choose_from(measured))}
    return [m.file for m in measured if m.file.name in tied or prefer.startswith(f"{m.file.name},")]


def _write_model(file: CandidateFile, card: Card, folder: Path) -> Path:
    """Write the candidate as `model.onnx`, with its card inside, and beside it for people."""
    Model.write(file.path, card)
    path = folder / MODEL
    write_atomically(path, file.path.read_bytes())
    write_atomically(folder / "card.md", card_as_markdown(card).encode())
    return path
