"""A folder of a run store that changes as a whole, whenever its writers end.

    snapshots/000002.0005f1c/000007.json
    files/000002.0005f1c/0d6c2a9be1f3-best.ckpt

Files lie by their content. A snapshot is written last and names all of them with their digests:
readers go by the newest one whose files are whole. Each attempt writes below a name of its own,
whose number only rises. One that was paused and wakes up changes nothing for its successor: what it
still writes is older than the successor's.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.console import say
from detector.errors import StoreError, StoreLostError
from detector.storage.names import leads_out
from detector.storage.run_store import RunStore
from detector.storage.scratch import scratch_folder

_SNAPSHOTS, _FILES, _ATTEMPTS = "snapshots", "files", "attempts"
_SHA256 = re.compile("[0-9a-f]{64}")
_READINGS = 3
"""How often a reader looks: meanwhile a writer may have removed what the first look found."""


class SupersededError(StoreError):
    """Another attempt has taken over what this one writes."""


@dataclass(frozen=True)
class Snapshot:
    """What the folder holds at one moment.

    Attributes:
        attempt: who wrote it; sorts by age.
        number: of the attempt's snapshots, from 1.
        about: what its writer says of it, plain values.
        files: SHA-256 of each, by its path in the folder.
    """

    attempt: str
    number: int
    about: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def key(self) -> str:
        """Of its own file."""
        return f"{_SNAPSHOTS}/{self.attempt}/{self.number:06d}.json"

    def key_of(self, name: str) -> str:
        """Where a file lies."""
        return _file_key(self.attempt, name, self.files[name])

    @property
    def keys(self) -> set[str]:
        """Of the snapshot and of all its files."""
        return {self.key, *map(self.key_of, self.files)}

    def to_json(self) -> str:
        """As its file holds it."""
        return json.dumps({"about": dict(self.about), "files": dict(self.files)}, indent=1) + "\n"

    @classmethod
    def parse(cls, key: str, content: bytes) -> "Snapshot | None":
        """What `to_json` wrote; None where it was cut off, or names what is no file of its own."""
        attempt, name = key.split("/")[-2:]
        try:
            tree = json.loads(content)
            files = {file: _checked_digest(file, digest) for file, digest in tree["files"].items()}
            return cls(attempt, int(name.removesuffix(".json")), dict(tree["about"]), files)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


class Snapshots:
    """The folder below a key of a run store.

    Args:
        store: where it is.
        key: of the folder.
    """

    def __init__(self, store: RunStore, key: str):
        self._store, self._key = store, key

    def newest(self) -> Snapshot | None:
        """The newest that can be read; its files may still be damaged."""
        return next(self._newest_first(), None)

    def read(self, name: str) -> bytes | None:
        """A file of the newest snapshot, or of the one before where it is damaged; None where the
        snapshot has no such file."""
        for _ in range(_READINGS):
            for snapshot in self._newest_first():
                if name not in snapshot.files:
                    return None
                key = self._key_of(snapshot, name)
                content = self._store.find_content(key)
                if content is None:
                    continue
                if hashlib.sha256(content).hexdigest() == snapshot.files[name]:
                    return content
                self._say_damaged(key)
        return None

    @contextmanager
    def checked_out(self, *names: str) -> Iterator[Path]:
        """A local folder with the files of the newest whole snapshot, or with those named alone.

        Raises:
            StoreError: there is none.
        """
        with scratch_folder("checked-out") as folder:
            if self._take(folder, names) is None:
                raise StoreError(
                    "nothing whole has been stored here",
                    where=self._store.url(self._key),
                    remedy="run the step again that trains it",
                )
            yield folder

    @contextmanager
    def attempt(
        self, number: int | None, about: Mapping[str, Any], inherits: bool = True
    ) -> Iterator["Attempt"]:
        """A local folder to go on in. What is in it at the end of the block is published, unless
        that ends by an error.

        Args:
            number: of the attempt, where somebody counts them; None is one more than any so far.
            about: what snapshots are to say of themselves.
            inherits: whether it begins with the files of the newest whole snapshot.
        """
        seen = self._attempts()
        if number is None:
            number = 1 + max((int(name.partition(".")[0]) for name in seen), default=0)
        # What begins again under its number, when an outage is over, comes after what it has left.
        begun = sum(name.startswith(f"{number:06d}.") for name in seen)
        name = f"{number:06d}.{begun:03d}{uuid.uuid4().hex[:4]}"
        with self._working_folder(name) as folder:
            inherited = self._take(folder, ()) if inherits else None
            attempt = Attempt(self._store, self._key, name, folder, about, inherited)
            yield attempt
            attempt.publish()

    @contextmanager
    def _working_folder(self, attempt: str) -> Iterator[Path]:
        """Beside the snapshots where people may look at it, elsewhere a temporary one."""
        if not self._store.is_local:
            with scratch_folder("attempt") as scratch:
                yield scratch
            return
        folder = Path(self._store.url(f"{self._key}/{_ATTEMPTS}/{attempt}"))
        folder.mkdir(parents=True, exist_ok=True)
        yield folder

    def _attempts(self) -> set[str]:
        kinds = (_SNAPSHOTS, _FILES, _ATTEMPTS)
        return {name for kind in kinds for name in self._store.names(f"{self._key}/{kind}")}

    def _newest_first(self) -> Iterator[Snapshot]:
        keys = self._store.find(f"{self._key}/{_SNAPSHOTS}")
        for key in sorted((key for key in keys if key.endswith(".json")), reverse=True):
            content = self._store.find_content(key)
            if content is None:
                continue
            snapshot = Snapshot.parse(key, content)
            if snapshot is None:
                self._say_damaged(key)
            else:
                yield snapshot

    def _take(self, folder: Path, names: tuple[str, ...]) -> Snapshot | None:
        """Copy files of the newest whole snapshot; None where there is none."""
        for _ in range(_READINGS):
            for snapshot in self._newest_first():
                if self._copy(snapshot, folder, names or tuple(snapshot.files)):
                    return snapshot
        return None

    def _copy(self, snapshot: Snapshot, folder: Path, names: tuple[str, ...]) -> bool:
        if all(self._copy_file(snapshot, name, folder / name) for name in names):
            return True
        for name in names:
            (folder / name).unlink(missing_ok=True)
        return False

    def _copy_file(self, snapshot: Snapshot, name: str, target: Path) -> bool:
        if name not in snapshot.files:
            return False
        key = self._key_of(snapshot, name)
        if not self._store.get_file(key, target):
            return False
        is_whole = _sha256(target) == snapshot.files[name]
        if not is_whole:
            self._say_damaged(key)
        return is_whole

    def _key_of(self, snapshot: Snapshot, name: str) -> str:
        return f"{self._key}/{snapshot.key_of(name)}"

    def _say_damaged(self, key: str) -> None:
        say(f"{self._store.url(key)} is damaged: going by the one before")


class Attempt:
    """A local folder whose content becomes visible as a whole, by `publish`.

    Attributes:
        path: of the folder. Files in it are replaced, never changed in place; hidden ones are not
            published.
    """

    def __init__(
        self,
        store: RunStore,
        key: str,
        name: str,
        path: Path,
        about: Mapping[str, Any],
        inherited: Snapshot | None,
    ):
        self.path = path
        self._store, self._key, self._name, self._about = store, key, name, about
        self._inherited = inherited
        self._digests: dict[Path, tuple[tuple[int, ...], str]] = {}
        self._last: Snapshot | None = None

    def publish(self) -> None:
        """Make what the folder holds now what readers find.

        Raises:
            SupersededError: a later attempt has published.
        """
        try:
            self._publish()
        except StoreLostError:
            raise  # It has been asked for long enough.
        except (FileNotFoundError, StoreError):
            # A later attempt removes what this one works on.
            self._refuse_if_superseded(self._stored())
            raise

    def _publish(self) -> None:
        files = {path.relative_to(self.path).as_posix(): path for path in self._files()}
        digests = {name: self._digest(path) for name, path in files.items()}
        before = self._last
        if before is not None and before.files == digests:
            return
        number = 1 if before is None else before.number + 1
        snapshot = Snapshot(self._name, number, self._about, digests)
        there = self._stored()
        self._refuse_if_superseded(there)
        for name, path in files.items():
            if snapshot.key_of(name) not in there:
                self._store.put_file(path, f"{self._key}/{snapshot.key_of(name)}")
        self._store.write(f"{self._key}/{snapshot.key}", snapshot.to_json())
        self._last = snapshot
        self._remove_all_but(snapshot, before or self._inherited, there)

    def _files(self) -> Iterator[Path]:
        for path in self.path.rglob("*"):
            if path.is_file() and path.suffix != ".tmp" and not path.name.startswith("."):
                yield path

    def _digest(self, path: Path) -> str:
        found = path.stat()
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        if path not in self._digests or self._digests[path][0] != stamp:
            self._digests[path] = stamp, _sha256(path)
        return self._digests[path][1]

    def _stored(self) -> set[str]:
        """The keys of what lies in the store, below the folder's."""
        prefix = f"{self._key}/"
        return {
            key.removeprefix(prefix)
            for kind in (_SNAPSHOTS, _FILES)
            for key in self._store.find(prefix + kind)
        }

    def _refuse_if_superseded(self, stored: set[str]) -> None:
        later = [key for key in stored if _attempt_of(key) > self._name]
        if any(key.startswith(_SNAPSHOTS) for key in later):
            raise SupersededError(
                "another attempt at it has gone further since",
                where=self._store.url(self._key),
                remedy="leave it to that one; this one was paused for too long, or counted as dead",
            )

    def _remove_all_but(self, newest: Snapshot, before: Snapshot | None, stored: set[str]) -> None:
        """Remove what no reader needs, of this attempt and earlier ones: a later one's are its own
        affair."""
        needed = newest.keys | (before.keys if before else set())
        mine = {key for key in stored if _attempt_of(key) <= self._name}
        # Snapshots first, so that none names a file that is gone.
        for key in sorted(mine - needed, key=lambda key: (not key.startswith(_SNAPSHOTS), key)):
            self._store.remove(f"{self._key}/{key}")
        if self._store.is_local:
            for name in self._store.names(f"{self._key}/{_ATTEMPTS}"):
                if name < self._name:
                    self._store.remove(f"{self._key}/{_ATTEMPTS}/{name}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_digest(file: str, digest: object) -> str:
    """A file's digest as a snapshot names it. Both become part of a key, and the name a path.

    Raises:
        ValueError: the file leads out of its folder, or that is no digest.
    """
    if leads_out(file) or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise ValueError(file)
    return digest


def _file_key(attempt: str, name: str, digest: str) -> str:
    folder, _, file = name.rpartition("/")
    place = f"{folder}/" if folder else ""
    return f"{_FILES}/{attempt}/{place}{digest[:16]}-{file}"


def _attempt_of(key: str) -> str:
    return key.split("/")[1]
