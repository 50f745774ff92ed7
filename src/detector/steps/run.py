"""The run store of one pipeline run: every read and write of what steps leave for each other.

    config.yaml, check.json, folds.json     prepare: what the run goes by
    sweep.json                              sweep-init: which sweep is the run's
    sweeps/ID/sweep.yaml, sweep.json        its file, and the same again
    sweeps/ID/trials/N/                     agents: a training each
    sweeps/ID/rescored/N/K/                 select: trial N trained again without fold K
    sweeps/ID/outcome.json, report.html     select
    folds/K/                                folds: a training each, with result.json
    ensemble/                               ensemble: model.onnx, result.json, report.html, …

No other module knows these names.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import yaml
from pydantic import StringConstraints

from detector.config.loading import stored_config
from detector.config.schema import Config
from detector.console import say
from detector.data.folds import Folds, Manifest, open_folds
from detector.data.opening import reading_of
from detector.data.source import fetch
from detector.ensemble.outcome import MODEL, EnsembleOutcome
from detector.errors import ConfigError, StoreError, StoreLostError
from detector.export.card import Card
from detector.export.model import Model
from detector.steps.documents import read_document, write_document
from detector.steps.training import Training, run_name
from detector.storage.run_store import RunFolder, RunStore
from detector.sweep.outcome import SweepOutcome

_CONFIG, _CHECK, _MANIFEST = "config.yaml", "check.json", "folds.json"
_BEGUN, _SWEEPS, _FOLDS = "sweep.json", "sweeps", "folds"
_ENSEMBLE = "ensemble"
_RESULT, _REPORT, _OVERLAY = "result.json", "report.html", "overlay.png"


def digest_of(sweep_file: bytes) -> str:
    """By which a run knows its sweep file again."""
    return hashlib.sha256(sweep_file).hexdigest()


@dataclass(frozen=True)
class BegunSweep:
    """The sweep that a run was begun with.

    Attributes:
        digest: of its file.
        stopping: what ends trials early, see `Backend.create`; None where it is not known.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
    digest: str = ""
    stopping: str | None = None


class Run:
    """The run store of one pipeline run. It can be handed to another process.

    Args:
        url: of the store.
        sweep: id of the sweep whose trials are meant; None for the sweep of the run.
        patience_s: see `RunStore`.
    """

    def __init__(self, url: str, sweep: str | None = None, patience_s: float | None = None):
        self._url, self._sweep, self._patience_s = url, sweep, patience_s
        self._store = RunStore(url, patience_s)

    def __reduce__(self) -> tuple[type["Run"], tuple[str, str | None, float | None]]:
        return Run, (self._url, self._sweep, self._patience_s)

    @property
    def url(self) -> str:
        """Of the store, whole (a plain path where it is local)."""
        return self._store.url()

    @property
    def name(self) -> str:
        """What people and trackers call the run."""
        return run_name(self._store)

    def require_writable(self) -> None:
        """Refuse a store that could not be written, before there is anything to write.

        Raises:
            StoreError: it could not.
        """
        self._store.require_writable()

    def require_there(self) -> None:
        """Refuse a store in which nothing was ever written, such as one whose name is misspelt.

        Raises:
            StoreError: nothing is there.
        """
        if not self._store.exists(""):
            raise StoreError(
                "there is no run store",
                where=self.url,
                remedy="give the --store that the agents were given",
            )

    # What the run goes by.

    @property
    def is_prepared(self) -> bool:
        """Whether there is a configuration: a sweep of a program of the user's own needs none."""
        return self._store.exists(_CONFIG)

    @property
    def config_url(self) -> str:
        """Of the configuration."""
        return self._store.url(_CONFIG)

    @property
    def config(self) -> Config:
        """The configuration that the run goes by; a trial changes some of its keys.

        Raises:
            StoreError: there is none.
            ConfigError: it is damaged, or of another version of detsweep.
        """
        try:
            return stored_config(self._read(_CONFIG, "prepare"), "a configuration")
        except ConfigError as error:
            raise ConfigError(
                f"damaged, or of another version of detsweep: {error.where}: {error.problem}",
                where=self.config_url,
                remedy="put the file back from a copy, go on with the version that wrote it, or "
                "begin in another store",
            ) from error

    @property
    def manifest(self) -> Manifest:
        """Which page is trained on when.

        Raises:
            StoreError: there is none.
            DataError: it is damaged.
        """
        return Manifest.from_json(self._read(_MANIFEST, "prepare"), self._store.url(_MANIFEST))

    def folds(self) -> Folds:
        """The data set, fetched and found to be the one that the folds were made from."""
        config = self.config
        return open_folds(fetch(config.data.path), self.manifest, reading_of(config.data))

    def write_check(self, report: str) -> None:
        """Put what was found in the data set, as JSON."""
        self._store.write(_CHECK, report)

    def write_preparation(self, config: Config, manifest: Manifest) -> None:
        """Put what the run goes by."""
        self._store.write(_MANIFEST, manifest.to_json())
        # Last, for its presence says that the store is prepared.
        self._store.write(_CONFIG, yaml.safe_dump(config.to_dict(), sort_keys=False))

    # The sweep.

    @property
    def begun_url(self) -> str:
        """Of the file that names the run's sweep."""
        return self._store.url(_BEGUN)

    @property
    def begun(self) -> BegunSweep | None:
        """The sweep of the run, None before there is one.

        Raises:
            StoreError: the file is damaged, and it cannot be known from the sweeps there are.
        """
        try:
            return read_document(self._store, _BEGUN, BegunSweep)
        except StoreLostError:
            raise
        except StoreError as error:
            known = [self._copy_of_begun(sweep) for sweep in self._store.names(_SWEEPS)]
            if len(known) != 1 or known[0] is None:
                raise
            say(f"{error.where} is damaged: going by the only sweep there is, {known[0].id}")
            return known[0]

    def _copy_of_begun(self, sweep: str) -> BegunSweep | None:
        with suppress(StoreError):
            return read_document(self._store, f"{_SWEEPS}/{sweep}/{_BEGUN}", BegunSweep)
        return None

    def begin_sweep(self, begun: BegunSweep, file: str) -> None:
        """Say which sweep is the run's; `file` is the content of its sweep file."""
        self._store.write(f"{_SWEEPS}/{begun.id}/sweep.yaml", file)
        write_document(self._store, f"{_SWEEPS}/{begun.id}/{_BEGUN}", begun)
        write_document(self._store, _BEGUN, begun)

    @cached_property
    def sweep(self) -> str:
        """Id of the sweep whose trials are meant.

        Raises:
            StoreError: the run has none yet.
        """
        if self._sweep is not None:
            return self._sweep
        begun = self.begun
        if begun is None:
            raise _missing(self._store, _BEGUN, "sweep_init")
        return begun.id

    def require_sweep(self) -> None:
        """Refuse a store whose configuration is that of another sweep.

        Raises:
            StoreError: it is.
        """
        begun = self.begun
        if begun is not None and begun.id != self.sweep:
            raise StoreError(
                f"this store is that of sweep {begun.id}, and not of {self.sweep}",
                where=self.begun_url,
                remedy="name the store that the sweep was created for, by --store",
            )

    @property
    def config_of_sweep(self) -> Config | None:
        """The configuration that the sweep's trials begin from; None where the store is another
        sweep's, or the sweep trains no detector."""
        begun = self.begun
        is_its_own = begun is not None and begun.id == self.sweep and self.is_prepared
        return self.config if is_its_own else None

    @property
    def has_sweep_file(self) -> bool:
        """Whether the sweep was created for this store."""
        return self._store.exists(self._of_sweep("sweep.yaml"))

    @property
    def sweep_file(self) -> str | None:
        """The sweep file that the sweep was created from; None where it was not for this store.

        Raises:
            StoreError: it was changed since.
        """
        content = self._store.find_content(self._of_sweep("sweep.yaml"))
        if content is None:
            return None
        begun = read_document(self._store, self._of_sweep(_BEGUN), BegunSweep)
        if begun is None or begun.digest not in (digest_of(content), ""):
            raise StoreError(
                "the sweep file is not the one that the run was begun with",
                where=self.sweep_file_url,
                remedy="put that one back, or begin in another store",
            )
        return content.decode()

    @property
    def sweep_file_url(self) -> str:
        """Of the sweep file."""
        return self._store.url(self._of_sweep("sweep.yaml"))

    @property
    def outcome(self) -> SweepOutcome:
        """What the sweep has come to.

        Raises:
            StoreError: it has not come to its end.
        """
        outcome = self.find_outcome()
        if outcome is None:
            raise _missing(self._store, self._of_sweep("outcome.json"), "select")
        return outcome

    def find_outcome(self) -> SweepOutcome | None:
        """What the sweep has come to, None before its best trial was selected."""
        return read_document(self._store, self._of_sweep("outcome.json"), SweepOutcome)

    def write_outcome(self, outcome: SweepOutcome) -> None:
        """Say what the sweep has come to."""
        write_document(self._store, self._of_sweep("outcome.json"), outcome)

    def write_sweep_report(self, page: str) -> str:
        """Put the sweep's report, and name its URL."""
        key = self._of_sweep("report.html")
        self._store.write(key, page)
        return self._store.url(key)

    # Trainings.

    def trial(self, number: int) -> Training:
        """A trial's training."""
        return self._training_of_sweep(f"trials/{number}", f"trial {number}")

    def rescored(self, trial: int, fold: int) -> Training:
        """A trial's configuration, trained without another fold than the sweep's."""
        return self._training_of_sweep(f"rescored/{trial}/{fold}", f"trial {trial} on fold {fold}")

    def fold(self, number: int) -> Training:
        """The training of the best configuration without a fold's pages."""
        key = f"{_FOLDS}/{number}"
        return Training(self._store, key, f"fold {number}", tracked_as=key)

    def trainings(self) -> list[Training]:
        """The trials and the folds that were begun."""
        trials = self._numbers(self._of_sweep("trials")) if self._sweep or self.begun else []
        folds = self._numbers(_FOLDS)
        return [*map(self.trial, trials), *map(self.fold, folds)]

    # The end.

    @property
    def ensemble(self) -> "EnsembleFiles":
        """What the last step leaves."""
        return EnsembleFiles(self._store)

    def _of_sweep(self, file: str) -> str:
        return f"{_SWEEPS}/{self.sweep}/{file}"

    def _training_of_sweep(self, place: str, name: str) -> Training:
        return Training(self._store, self._of_sweep(place), name, f"{self.sweep}/{place}")

    def _numbers(self, key: str) -> list[int]:
        return sorted(int(name) for name in self._store.names(key) if name.isdecimal())

    def _read(self, key: str, step: str) -> bytes:
        if not self._store.exists(key):
            raise _missing(self._store, key, step)
        return self._store.read(key)


@dataclass(frozen=True)
class EnsembleFiles:
    """What the last step leaves in a run store."""

    store: RunStore

    @property
    def name(self) -> str:
        """What trackers call it."""
        return _ENSEMBLE

    @contextmanager
    def opened(self) -> Iterator[RunFolder]:
        """A local folder of the files, to write the model into."""
        with self.store.folder(_ENSEMBLE) as folder:
            yield folder

    @property
    def model_url(self) -> str:
        """Of the ONNX file."""
        return self._url(MODEL)

    @property
    def report_url(self) -> str:
        """Of the report of the whole run."""
        return self._url(_REPORT)

    @property
    def overlay_url(self) -> str:
        """Of the picture of a page with what the model finds on it."""
        return self._url(_OVERLAY)

    @property
    def is_whole(self) -> bool:
        """Whether no file is missing."""
        names = {MODEL, _REPORT, _OVERLAY, _RESULT}
        return names <= set(self.store.names(_ENSEMBLE))

    @property
    def model(self) -> bytes:
        """The ONNX file."""
        return self.store.read(self._key(MODEL))

    @property
    def card(self) -> Card:
        """What the model says of itself."""
        with self.opened() as folder:
            return Model(folder.path / MODEL).card

    @property
    def report(self) -> str:
        """The report of the whole run, as HTML."""
        return self.store.read(self._key(_REPORT)).decode()

    @property
    def outcome(self) -> EnsembleOutcome:
        """What the folds' models have come to.

        Raises:
            StoreError: the last step has not ended.
        """
        outcome = self.find_outcome()
        if outcome is None:
            raise _missing(self.store, self._key(_RESULT), "ensemble")
        return outcome

    def find_outcome(self) -> EnsembleOutcome | None:
        """What the folds' models have come to, None before the last step has ended."""
        return read_document(self.store, self._key(_RESULT), EnsembleOutcome)

    def write(self, outcome: EnsembleOutcome, report: str, overlay: bytes) -> None:
        """Put everything but the model itself.

        Args:
            report: HTML.
            overlay: a PNG of a page with what the model finds on it.
        """
        self.store.write(self._key(_OVERLAY), overlay)
        self.store.write(self._key(_REPORT), report)
        # Last, for its presence says that all of them are written.
        write_document(self.store, self._key(_RESULT), outcome)

    def _url(self, file: str) -> str:
        return self.store.url(self._key(file))

    def _key(self, file: str) -> str:
        return f"{_ENSEMBLE}/{file}"


def _missing(store: RunStore, key: str, step: str) -> StoreError:
    return StoreError(
        "this file is missing",
        where=store.url(key),
        remedy=f"the step `{step}` writes it: run it first, or check the store's URL",
    )
