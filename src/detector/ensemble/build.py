"""From the folds' checkpoints to one model: export each candidate, measure it, choose, write."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detector.choosing.bootstrap import outline_difference, score
from detector.choosing.candidates import ACCURACY, BALANCE, choose_candidate, cross_fit
from detector.choosing.pages import PageScores
from detector.choosing.promotion import Promotion, judge
from detector.config.schema import PostprocessConfig
from detector.console import say
from detector.data.folds import Folds
from detector.data.images import read_image
from detector.data.page import Page, taken_evenly
from detector.detecting.inference import Image, network_inputs
from detector.ensemble.card import make_card, score_table, title
from detector.ensemble.files import (
    CandidateFile,
    export_candidate,
    is_untrained,
    reduce_precision,
)
from detector.ensemble.measure import Measured, in_turns, measure_candidate, to_choose_from
from detector.ensemble.names import untrained
from detector.ensemble.networks import candidate_networks
from detector.ensemble.outcome import MODEL, ModelChoice
from detector.ensemble.thresholds import Tuned, tune_thresholds
from detector.errors import DataError
from detector.export.card import Card
from detector.export.conversion import CALIBRATION_PAGES
from detector.export.markdown import card_as_markdown
from detector.export.model import Model
from detector.export.onnx import MeanOfMaps
from detector.model.checkpoint import ModelCheckpoint
from detector.model.published import Published
from detector.model.starting import published_model
from detector.storage.atomic import write_atomically
from detector.storage.scratch import scratch_folder

_TUNING_PAGES = 12
"""Enough for three numbers; a network of others takes a while for more."""
_PUBLISHED_THRESHOLDS = PostprocessConfig(thresh=0.2, box_thresh=0.4, unclip_ratio=1.5)
"""Where the search begins for a network that was trained with DBNet's shrink ratio of 0.4."""


@dataclass(frozen=True)
class EnsembleResult:
    """The exported model and what it was chosen from.

    Attributes:
        choice: which of the candidates it is, each as onnxruntime runs it.
        pages: the counts of the choice on pages that did not make it; see `cross_fit`.
        tuned: the thresholds that the model has.
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
    public: Published | None = None,
) -> EnsembleResult:
    """Export every candidate, tune the thresholds, measure all on the held-out pages, keep one.

    Writes `model.onnx`, and `card.md` for people.

    Args:
        checkpoints: the folds' models, by name.
        folds: the data set. No model has seen any of its held-out pages.
        left_out: the pages that each model was not trained on, by its name.
        out_dir: where to write.
        prefer: see `choose_candidate`.
        public: a detector of others, which is a candidate as it is, with thresholds of its own.

    Raises:
        DataError: the checkpoints come from different configurations.
        ConfigError: no candidate has the preferred name.
        ExportError: an exported model differs from its source by more than rounding.
    """
    models = {name: ModelCheckpoint.load(path) for name, path in checkpoints.items()}
    _require_one_input(models)
    first = next(iter(models.values()))
    sample = read_image(folds.held_out[0].image, first.config.data.max_pixels)
    with scratch_folder("candidates") as scratch:
        entries = _enter_folds(models, folds, left_out, sample, scratch)
        if public:
            model = published_model(public, first.config, first.data_digest)
            entries.append(_enter_untrained(model, folds, sample, scratch))
        tuned = {file.made_of: how for file, how in entries}
        files = [replace(file, postprocess=how.postprocess) for file, how in entries]
        measured = _Bench(folds, sample).measure_all(files, prefer)
        candidates = to_choose_from(measured)
        chosen, reason = choose_candidate(candidates, prefer)
        pages = cross_fit(candidates, prefer)
        taken = next(m for m in measured if m.file.name == chosen)
        expected = score(pages)
        card = make_card(
            title(taken.file, list(models)), taken.file, score_table(taken.score, expected)
        )
        path = _write_model(taken.file, card, out_dir)
    how = tuned[taken.file.made_of]
    rows = [m.score for m in measured]
    beside = _beside_public(taken, measured) if public else None
    choice = ModelChoice(rows, chosen, reason, how.reason, expected, beside)
    return EnsembleResult(choice, pages, how, path, taken.file.parity)


def _enter_folds(
    models: Mapping[str, ModelCheckpoint],
    folds: Folds,
    left_out: Mapping[str, Sequence[Page]],
    sample: Image,
    folder: Path,
) -> list[tuple[CandidateFile, Tuned]]:
    """What can be made of the folds' models, with the thresholds that all of it is read by."""
    files = _export_all(models, folds, sample, folder)
    maps = {name: files[name].probability_map() for name in models}
    first = next(iter(models.values())).config
    say("tuning thresholds on out-of-fold pages")
    tuned = tune_thresholds(maps, left_out, first.data, first.models.head.postprocess)
    say(tuned.reason)
    return [(file, tuned) for file in files.values()]


def _beside_public(taken: Measured, measured: Sequence[Measured]) -> Promotion:
    """The model that was chosen, compared with the detector of others as they published it."""
    public = next(m for m in measured if is_untrained(m.file) and m.file.name == m.file.made_of)
    found = judge(taken.pages, public.pages, public.file.name)
    return replace(found, outlines=outline_difference(taken.matches, public.matches, taken.pages))


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
    models: Mapping[str, ModelCheckpoint], folds: Folds, sample: Image, folder: Path
) -> dict[str, CandidateFile]:
    """Every candidate in float32, by name."""
    first = next(iter(models.values()))
    files = {}
    for name, network in candidate_networks(models, folds.training(None)):
        say(f"exporting {name}")
        files[name] = export_candidate(name, network, models.get(name, first), sample, folder)
    return files


def _enter_untrained(
    model: ModelCheckpoint, folds: Folds, sample: Image, folder: Path
) -> tuple[CandidateFile, Tuned]:
    """A detector of others as a candidate, its thresholds tuned on some of the training pages: it
    has been trained on none of them."""
    assert model.origin is not None
    name = untrained(model.origin.name)
    say(f"measuring {name}, with thresholds tuned on training pages")
    file = export_candidate(name, MeanOfMaps([model.build_model()]).eval(), model, sample, folder)
    pages = list(taken_evenly(folds.training(None), _TUNING_PAGES))
    tuned = tune_thresholds(
        {name: file.probability_map()}, {name: pages}, file.data, _PUBLISHED_THRESHOLDS
    )
    return file, tuned


@dataclass(frozen=True)
class _Bench:
    """Measures candidates under the same conditions.

    Attributes:
        folds: the data set, whose held-out pages they are measured on.
        sample: a page that files of fewer bits are compared on.
    """

    folds: Folds
    sample: Image

    def measure_all(self, files: Iterable[CandidateFile], prefer: str) -> list[Measured]:
        """Each file, then those that deserve it with fewer bits."""
        measured = [self._measure(file) for file in files]
        for full in _worth_reducing(measured, prefer):
            pictures = network_inputs(self.folds.training(None), full.data, CALIBRATION_PAGES)
            reduced = reduce_precision(full, self.sample, list(pictures))
            measured += [self._measure(file) for file in reduced]
        return in_turns(measured, self.folds.held_out)

    def _measure(self, file: CandidateFile) -> Measured:
        return measure_candidate(file, self.folds.held_out)


def _worth_reducing(measured: Sequence[Measured], prefer: str) -> list[CandidateFile]:
    """The best, the fastest within noise of it, and what was asked for by name with fewer bits: no
    other becomes the model by that."""
    candidates = to_choose_from(measured)
    worthy = {choose_candidate(candidates, how)[0] for how in (ACCURACY, BALANCE)}
    worthy.add(prefer.rpartition(", ")[0])
    return [m.file for m in measured if m.file.name in worthy]


def _write_model(file: CandidateFile, card: Card, folder: Path) -> Path:
    """Write the candidate as `model.onnx`, with its card inside, and beside it for people."""
    Model.write(file.path, card)
    path = folder / MODEL
    write_atomically(path, file.path.read_bytes())
    write_atomically(folder / "card.md", card_as_markdown(card).encode())
    return path
