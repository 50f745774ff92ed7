"""The first step: check the data set, fix the folds, and store the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.choosing.ranking import FEW_PAGES
from detector.config.loading import load_config
from detector.config.schema import Config
from detector.console import say
from detector.data.alike import find_alike
from detector.data.check import CheckReport, check_data
from detector.data.data_set import DataSet
from detector.data.fit import require_text
from detector.data.folds import SWEEP_FOLD, Manifest, make_folds
from detector.data.opening import reading_of
from detector.data.page import Page
from detector.data.problem import refuse_errors
from detector.data.processes import require_equal_shares
from detector.data.source import fetch
from detector.errors import StoreError
from detector.steps.run import Run
from detector.wording import counted


@dataclass(frozen=True)
class Prepared:
    """What the run goes by.

    Attributes:
        fold_numbers: the folds that are trained for the ensemble.
        page_counts: how many pages there are to train on, and how many are held out.
    """

    config: Config
    manifest: Manifest

    @classmethod
    def of(cls, run: Run) -> "Prepared":
        """What `prepare` has left in a run store."""
        return cls(run.config, run.manifest)

    @property
    def fold_numbers(self) -> list[int]:
        """The folds that are trained for the ensemble."""
        return self.config.folds.trained

    @property
    def page_counts(self) -> dict[str, int]:
        """How many pages there are to train on, and how many are held out."""
        held_out = sum(page.fold is None for page in self.manifest.pages)
        return {"pages": len(self.manifest.pages) - held_out, "held-out pages": held_out}


def prepare(run: Run, overrides: Sequence[str], gpus_per_fold: int = 1) -> Prepared:
    """Check the data that `overrides` describe and write config.yaml, check.json and folds.json.

    A store that is prepared already is left as it is.

    Raises:
        ConfigError: the overrides are not valid, or a fold's GPUs cannot share a batch.
        DataError: the data set has errors.
        StoreError: the store belongs to a run with another configuration.
    """
    config = load_config(overrides)
    # The folds, which would find it out themselves, come hours later.
    require_equal_shares(config, gpus_per_fold)
    if run.is_prepared:
        return _prepared_before(run, config)

    say(f"checking {config.data.path}")
    root = fetch(config.data.path)
    report = check_data(
        root,
        max_pixels=config.data.max_pixels,
        reading=reading_of(config.data),
        allow_duplicates=config.data.allow_duplicates,
    )
    run.write_check(report.to_json())
    refuse_errors(report.problems, config.data.path)
    _say_warnings(report)

    manifest = make_folds(
        report.pages,
        config.folds.count,
        config.seed,
        config.data.held_out_fraction,
        report.alike,
    )
    _require_text_in_folds(report.pages, manifest)
    _say_if_few(manifest)
    run.write_preparation(config, manifest)
    return _reported(Prepared(config, manifest))


def _say_if_few(manifest: Manifest) -> None:
    """Warn of so few pages that trials, which are compared on one fold's, will tie."""
    compared = sum(page.fold == SWEEP_FOLD for page in manifest.pages)
    if compared < FEW_PAGES:
        say(
            f"warning: trials are compared on {counted(compared, 'page')}, which can hardly show "
            f"which is better: label more pages, so that each of the {manifest.count} folds has "
            f"{FEW_PAGES}"
        )


def _say_warnings(report: CheckReport) -> None:
    """Those of the data set as a whole, and how many others there are."""
    warnings = report.of_level("warning")
    of_all = [problem for problem in warnings if problem.file == "."]
    for problem in of_all:
        say(f"warning: {problem.reason}")
    others = len(warnings) - len(of_all)
    if others:
        say(f"warnings of single pages: {others}; `detsweep data check` lists them")


def _require_text_in_folds(pages: Sequence[Page], manifest: Manifest) -> None:
    """Refuse folds that a training would refuse when its turn comes, or whose model could not be
    measured.

    Raises:
        DataError: a fold, or what is held out, has no text.
    """
    fold_of = {entry.name: entry.fold for entry in manifest.pages}
    for fold in range(manifest.count):
        of_fold = [page for page in pages if fold_of[page.name] == fold]
        others = [page for page in pages if fold_of[page.name] not in (None, fold)]
        require_text(others, "training")
        require_text(of_fold, f"fold {fold}")
    held_out = [page for page in pages if fold_of[page.name] is None]
    if held_out:
        require_text(held_out, "held-out")


def _prepared_before(run: Run, config: Config) -> Prepared:
    refuse_another_configuration(run, config)
    refuse_other_data(run, config)
    return _reported(Prepared.of(run))


def refuse_another_configuration(run: Run, config: Config) -> None:
    """Leave a prepared store alone that is another run's.

    Raises:
        StoreError: it was prepared with another configuration.
    """
    if run.config.digest() != config.digest():
        raise StoreError(
            "this store holds a run with another configuration",
            where=run.config_url,
            remedy="give the overrides that it was begun with, or another store",
        )


def refuse_other_data(run: Run, config: Config) -> None:
    """Leave a prepared store alone that is of other pages.

    Raises:
        StoreError: the data set at `data.path` is not the one that it was prepared with.
        DataError: there is no data set.
    """
    before = run.config.data.path
    if config.data.path == before:
        return
    data = config.data
    pages = DataSet.read(data.path, reading_of(data)).pages()
    alike = find_alike(pages, data.max_pixels)
    folds = make_folds(pages, config.folds.count, config.seed, data.held_out_fraction, alike)
    if folds.digest() != run.manifest.digest():
        raise StoreError(
            f"this store holds a run on the data set {before}, and not on {data.path}",
            where=run.config_url,
            remedy="name another store, or that data set",
        )


def _reported(prepared: Prepared) -> Prepared:
    counts = ", ".join(f"{count} {name}" for name, count in prepared.page_counts.items())
    say(f"{counts}, {prepared.config.folds.count} folds")
    return prepared
