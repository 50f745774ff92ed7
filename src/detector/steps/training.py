"""One training in the run store, a trial's, a rescoring's or a fold's: all that it leaves there."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from statistics import median

from detector.choosing.pages import PAGES, KeptEpoch
from detector.config.metrics import HISTORY
from detector.config.schema import Config
from detector.data.folds import Folds
from detector.errors import StoreError
from detector.steps.documents import read_document, write_document
from detector.storage.run_store import RunFolder, RunStore
from detector.sweep.reporting import read_history
from detector.tracking.wandb import STATE as TRACKER_STATE

_ORIGIN, _RESULT = "origin.json", "result.json"


@dataclass(frozen=True)
class Origin:
    """What a training came of: equal origins give the same model.

    Attributes:
        config: the configuration's digest.
        data: the digest of the data set and its folds.
        fold: the fold whose pages are left out.
    """

    config: str
    data: str
    fold: int

    @classmethod
    def of(cls, config: Config, folds: Folds, fold: int) -> "Origin":
        """What a training with this configuration on this data comes of."""
        return cls(config.digest(), folds.manifest.digest(), fold)


@dataclass(frozen=True)
class FoldResult:
    """A fold's model.

    Attributes:
        scores: on the fold's own pages, by metric (`val/hmean`, …), at the epoch that is kept.
        reused_trial: the trial that it was copied from, None if it was trained.
    """

    fold: int
    epoch: int
    scores: Mapping[str, float]
    reused_trial: int | None


@dataclass(frozen=True)
class Training:
    """A place for one training in a run store.

    Attributes:
        key: where it lies in the store.
        name: for people: "trial 3", "fold 1".
        tracked_as: what trackers call it.
    """

    store: RunStore
    key: str
    name: str
    tracked_as: str

    @property
    def url(self) -> str:
        """Where it lies, whole."""
        return self.store.url(self.key)

    @property
    def group(self) -> str:
        """What trackers call the run that the training belongs to."""
        return run_name(self.store)

    @property
    def origin(self) -> Origin | None:
        """What was begun here, None where nothing was."""
        return read_document(self.store, self._key(_ORIGIN), Origin)

    def begin(self, origin: Origin) -> None:
        """Say what is trained here. What another origin has left is removed first."""
        if self.origin not in (None, origin):
            self.remove()
        write_document(self.store, self._key(_ORIGIN), origin)

    def remove(self) -> None:
        """Remove all that the training has left."""
        self.store.remove(self.key)

    @contextmanager
    def opened(self) -> Iterator[RunFolder]:
        """A local folder of its files; `RunFolder.publish` makes what is new in it visible."""
        with self.store.folder(self.key) as folder:
            yield folder

    @property
    def history(self) -> dict[int, dict[str, float]]:
        """The metrics of every finished epoch, from 1."""
        key = self._key(HISTORY)
        return read_history(self.store.read(key).decode()) if self.store.exists(key) else {}

    def epochs_done(self, origin: Origin) -> int:
        """How many epochs are finished here of a training of this origin."""
        return len(self.history) if self.origin == origin else 0

    def seconds(self, epochs: int) -> float:
        """How long `epochs` epochs take, by the middle one of those that are finished."""
        return epochs * median(row["seconds"] for row in self.history.values())

    @property
    def has_kept(self) -> bool:
        """Whether an epoch's weights are kept here, with their counts by page."""
        return self.store.exists(self._key(PAGES))

    @property
    def kept(self) -> KeptEpoch:
        """The epoch whose weights are kept, and what they count on each page.

        Raises:
            StoreError: there is none.
            DataError: the file is damaged.
        """
        key = self._key(PAGES)
        return KeptEpoch.from_json(self.store.read(key).decode(), self.store.url(key))

    @property
    def result(self) -> FoldResult | None:
        """What a fold's training came to, None before it has ended."""
        return read_document(self.store, self._key(_RESULT), FoldResult)

    @property
    def trained(self) -> FoldResult:
        """What a fold's training came to.

        Raises:
            StoreError: it has not ended.
        """
        result = self.result
        if result is None:
            raise StoreError(
                f"{self.name} has not been trained to its end",
                where=self.store.url(self._key(_RESULT)),
                remedy="the step `fold` does so: run it first, or check the store's URL",
            )
        return result

    def write_result(self, result: FoldResult) -> None:
        """Say what a fold's training came to. Written last: it says that the training has ended."""
        write_document(self.store, self._key(_RESULT), result)

    def copy_to(self, target: "Training") -> None:
        """Put a copy of the training in another place."""
        with self.opened() as taken, target.opened() as folder:
            shutil.copytree(
                taken.path,
                folder.path,
                ignore=shutil.ignore_patterns(_ORIGIN, TRACKER_STATE, "*.tmp"),
                dirs_exist_ok=True,
            )
        # Last, for it says whose training lies there.
        if self.origin is not None:
            write_document(target.store, target._key(_ORIGIN), self.origin)

    def _key(self, file: str) -> str:
        return f"{self.key}/{file}"


def run_name(store: RunStore) -> str:
    """What people and trackers call the run of a store."""
    return PurePosixPath(store.url()).name
