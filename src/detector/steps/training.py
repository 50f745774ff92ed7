"""One training in the run store, a trial's, a rescoring's or a fold's: all that it leaves there."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from statistics import median

from detector.choosing.pages import PAGES, KeptEpoch
from detector.config.metrics import HISTORY
from detector.config.schema import Config
from detector.data.folds import Folds
from detector.errors import StoreError
from detector.steps.documents import read_document, write_document
from detector.storage.run_store import RunStore
from detector.storage.snapshots import Attempt, Snapshots
from detector.sweep.reporting import read_history
from detector.tracking.wandb import STATE as TRACKER_STATE
from detector.training.result import BEST

_RESULT, _PROGRAM = "result.json", "program"
_ORIGIN = "origin.json"
"""Of version 0.1, which kept files in place."""


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
        origin: what it came of.
    """

    fold: int
    epoch: int
    scores: Mapping[str, float]
    reused_trial: int | None
    origin: Origin


@dataclass(frozen=True)
class Training:
    """A place for one training in a run store. What is in it changes as a whole, an epoch at a
    time (see `detector.storage.snapshots`).

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
        """What was trained here, None where nothing was published yet."""
        newest = self._snapshots.newest()
        return None if newest is None else Origin(**newest.about)

    @contextmanager
    def attempt(self, origin: Origin, number: int | None = None) -> Iterator[Attempt]:
        """A local folder to train in, with what was trained here of the same origin; `publish` and
        the end of the block make what is in it visible.

        Args:
            number: of the attempt, where a sweep counts them.

        Raises:
            StoreError: an earlier version of detsweep has trained here.
        """
        if self.store.exists(self._key(_ORIGIN)):
            raise StoreError(
                "an earlier version of detsweep has trained here",
                where=self.url,
                remedy="go on with that version, or begin in another store",
            )
        inherits = self.origin == origin
        with self._snapshots.attempt(number, asdict(origin), inherits) as folder:
            yield folder

    @contextmanager
    def program_folder(self, attempt: int) -> Iterator[Path]:
        """A local folder for a program of the user's own, which knows itself what it can go on
        from: it begins with what the attempt before has left.

        Args:
            attempt: its number. An earlier one that wakes up has its own folder.
        """
        name = f"{attempt:06d}"
        earlier = [other for other in self._programs() if other < name]
        with self.store.folder(self._key(f"{_PROGRAM}/{name}")) as folder:
            if earlier and not any(folder.path.iterdir()):
                with self.store.folder(self._key(f"{_PROGRAM}/{earlier[-1]}")) as before:
                    shutil.copytree(before.path, folder.path, dirs_exist_ok=True)
                for other in earlier[:-1]:
                    self.store.remove(self._key(f"{_PROGRAM}/{other}"))
            yield folder.path

    @property
    def history(self) -> dict[int, dict[str, float]]:
        """The metrics of every finished epoch, from 1."""
        content = self._snapshots.read(HISTORY) or self._of_program(HISTORY)
        return read_history(content.decode()) if content else {}

    def epochs_done(self, origin: Origin) -> int:
        """How many epochs are finished here of a training of this origin."""
        return len(self.history) if self.origin == origin else 0

    def seconds(self, epochs: int) -> float:
        """How long `epochs` epochs take, by the middle one of those that are finished."""
        return epochs * median(row["seconds"] for row in self.history.values())

    @property
    def has_kept(self) -> bool:
        """Whether an epoch's weights are kept here, with their counts by page."""
        newest = self._snapshots.newest()
        return newest is not None and PAGES in newest.files

    @property
    def kept(self) -> KeptEpoch:
        """The epoch whose weights are kept, and what they count on each page.

        Raises:
            StoreError: there is none.
            DataError: the file is damaged.
        """
        content = self._snapshots.read(PAGES)
        if content is None:
            raise StoreError(
                f"{self.name} has kept no epoch",
                where=self.url,
                remedy="run the step that trains it: it goes on where it was",
            )
        return KeptEpoch.from_json(content, self.url)

    @contextmanager
    def checkpoint(self) -> Iterator[Path]:
        """A local copy of the weights that are kept.

        Raises:
            StoreError: there are none.
        """
        with self._snapshots.checked_out(BEST) as folder:
            yield folder / BEST

    @property
    def result(self) -> FoldResult | None:
        """What a fold's training came to; None before it has ended, or where another has begun."""
        result = read_document(self.store, self._key(_RESULT), FoldResult)
        return result if result is not None and result.origin == self.origin else None

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
        origin = self.origin
        assert origin is not None, "there is something to copy"
        with self._snapshots.checked_out() as taken, target.attempt(origin) as copy:
            shutil.copytree(
                taken,
                copy.path,
                ignore=shutil.ignore_patterns(TRACKER_STATE),
                dirs_exist_ok=True,
            )

    @cached_property
    def _snapshots(self) -> Snapshots:
        return Snapshots(self.store, self.key)

    def _of_program(self, file: str) -> bytes | None:
        found = self._programs()[-1:]
        return (
            self.store.find_content(self._key(f"{_PROGRAM}/{found[0]}/{file}")) if found else None
        )

    def _programs(self) -> list[str]:
        """The attempts by a program of the user's own, the newest last."""
        return self.store.names(self._key(_PROGRAM))

    def _key(self, file: str) -> str:
        return f"{self.key}/{file}"


def run_name(store: RunStore) -> str:
    """What people and trackers call the run of a store."""
    return PurePosixPath(store.url()).name
