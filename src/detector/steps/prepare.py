"""The first step: check the data set, fix the folds, and store the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.config.loading import load_config
from detector.config.schema import Config
from detector.console import say
from detector.data.check import check_data
from detector.data.folds import Manifest, make_folds
from detector.data.problem import refuse_errors
from detector.data.processes import require_equal_shares
from detector.data.source import fetch
from detector.errors import StoreError
from detector.steps.run import Run


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
        root, max_pixels=config.data.max_pixels, group_column=config.data.group_column
    )
    run.write_check(report.to_json())
    refuse_errors(report.problems, config.data.path)

    manifest = make_folds(
        report.pages, config.folds.count, config.seed, config.data.held_out_fraction
    )
    run.write_preparation(config, manifest)
    return _reported(Prepared(config, manifest))


def _prepared_before(run: Run, config: Config) -> Prepared:
    refuse_another_configuration(run, config)
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


def _reported(prepared: Prepared) -> Prepared:
    counts = ", ".join(f"{count} {name}" for name, count in prepared.page_counts.items())
    say(f"{counts}, {prepared.config.folds.count} folds")
    return prepared
