"""The run store: every file that a run leaves behind, in a local folder or at an object store.

One interface over fsspec. Whoever writes puts whole files (beside and renamed locally, whole
objects on S3), so a reader never sees half of one. Credentials come from the environment.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fsspec.implementations.local import LocalFileSystem

from detector.errors import StoreError, StoreLostError
from detector.names import require_utf8
from detector.patience import Patience, patience_seconds
from detector.storage.atomic import is_full, link_beside, what_keeps_from_writing, write_beside
from detector.storage.names import foreign_name, inside, leads_out
from detector.storage.object_store import (
    is_outage,
    open_place,
    store_errors,
    what_helps,
    what_s3_says,
)
from detector.storage.scratch import scratch_folder

T = TypeVar("T")


class RunStore:
    """Files by key (`sweeps/abc/best.yaml`) below one URL.

    Args:
        url: a folder, or any URL that fsspec knows, such as `s3://bucket/prefix`. The endpoint and
            the credentials of S3 come from `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and
            `AWS_SECRET_ACCESS_KEY`, or from `DETSWEEP_S3_…` (see `detector.storage.object_store`).
        patience_s: how long it is asked again while it does not answer or is full; None for what
            `DETSWEEP_PATIENCE_SECONDS` says.

    Raises:
        DetsweepError: the URL is no valid UTF-8.
        StoreError: the URL's protocol is unknown or its library is missing; by any method, if the
            key leads out of the store.
        StoreLostError: by any method, if it did not answer for so long.
    """

    def __init__(self, url: str | Path, patience_s: float | None = None):
        require_utf8(str(url), "run store")
        try:
            self._fs, root = open_place(str(url))
        except (ValueError, ImportError) as error:
            raise StoreError(
                f"cannot open the run store: {error}",
                where=str(url),
                remedy="give a folder or a URL such as s3://bucket/prefix",
            ) from error
        self._root = str(root).rstrip("/")
        seconds = patience_seconds() if patience_s is None else patience_s
        self._says = str if self.is_local else what_s3_says
        self._patience = Patience(f"the run store {url}", is_outage, seconds, self._says)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return isinstance(self._fs, LocalFileSystem)

    def url(self, key: str = "") -> str:
        """The full URL of a key (a plain path where the store is local)."""
        path = self._path(key)
        return path if self.is_local else self._fs.unstrip_protocol(path)

    def require_writable(self) -> None:
        """Refuse a store that could not be written. It is as it was afterwards.

        Raises:
            StoreError: it could not be.
        """
        if self.is_local:
            obstacle = what_keeps_from_writing(Path(self._root))
            if obstacle:
                raise StoreError(
                    obstacle, where=self.url(), remedy="name another folder for the run store"
                )
            return
        probe = f".detsweep-{uuid.uuid4().hex}"
        self.write(probe, b"")
        self.remove(probe)

    def exists(self, key: str) -> bool:
        """Whether there is a file or a folder of this key."""
        self._fs.invalidate_cache()
        return bool(self._ask(key, lambda: self._fs.exists(self._path(key))))

    def read(self, key: str) -> bytes:
        """The content of a file.

        Raises:
            StoreError: there is no such file, or it cannot be read.
        """
        return bytes(self._ask(key, lambda: self._fs.cat_file(self._path(key))))

    def names(self, key: str) -> list[str]:
        """The names of what lies directly below `key`; none where nothing does."""
        self._fs.invalidate_cache()
        path = self._path(key)

        def listed() -> list[str]:
            return list(self._fs.ls(path, detail=False)) if self._fs.exists(path) else []

        return sorted(Path(found).name for found in self._ask(key, listed))

    def find_content(self, key: str) -> bytes | None:
        """The content of a file; None where there is no such file."""

        def found() -> bytes | None:
            try:
                return bytes(self._fs.cat_file(self._path(key)))
            except FileNotFoundError:
                return None

        return self._ask(key, found)

    def get_file(self, key: str, target: Path) -> bool:
        """Copy a file to a local path; False where there is no such file."""

        def copied() -> bool:
            try:
                self._fs.get_file(self._path(key), str(target))
            except FileNotFoundError:
                return False
            return True

        target.parent.mkdir(parents=True, exist_ok=True)
        return self._ask(key, copied)

    def find(self, key: str) -> list[str]:
        """The keys of all files below `key`, at any depth, in order."""
        self._fs.invalidate_cache()
        below, start = f"{self._path(key)}/", len(self._path("")) + 1
        found = self._ask(key, lambda: self._fs.find(self._path(key)))
        # S3's gives the folder itself where nothing is in it any more.
        return sorted(path[start:] for path in found if path.startswith(below))

    def write(self, key: str, content: bytes | str) -> None:
        """Put a whole file.

        Raises:
            StoreError: the store cannot be written.
        """
        data = content.encode() if isinstance(content, str) else content
        if self.is_local:
            self._ask(key, lambda: write_beside(Path(self._path(key)), data), writes=True)
        else:
            self._ask(key, lambda: self._fs.pipe_file(self._path(key), data), writes=True)

    def remove(self, key: str) -> None:
        """Remove a file, or a folder with all that is in it; nothing if there is none."""
        self._ask(key, lambda: self._remove(self._path(key)))

    def _remove(self, path: str) -> None:
        self._fs.invalidate_cache()
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)

    @contextmanager
    def folder(self, key: str) -> Iterator["RunFolder"]:
        """A local folder that mirrors the files below `key`, for code that needs real paths.

        Where the store is local this is the folder itself; elsewhere a temporary copy, whose
        changed files `RunFolder.publish` puts back.
        """
        if self.is_local:
            path = Path(self._path(key))
            self._ask(key, lambda: path.mkdir(parents=True, exist_ok=True), writes=True)
            yield RunFolder(path)
            return
        with scratch_folder("run") as scratch:
            folder = RunFolder(scratch, self, key)
            self._ask(key, lambda: self._download(key, folder.path))
            folder.remember()
            yield folder
            folder.publish()

    def _ask(self, key: str, question: Callable[[], T], *, writes: bool = False) -> T:
        """Ask the file system about a key, again while it is away; what it raises at last becomes a
        `StoreError`."""
        try:
            return self._patience.ask(question)
        except store_errors() as error:
            problem, remedy = self._explain(error, writes=writes)
            kind = StoreLostError if is_outage(error) else StoreError
            raise kind(problem, where=self.url(key), remedy=remedy) from error

    def _explain(self, error: BaseException, *, writes: bool) -> tuple[str, str | None]:
        """What is wrong with it, and what to do about that."""
        if isinstance(error, FileNotFoundError) and writes:
            return "the run store cannot be written: there is no such place", "name another one"
        if isinstance(error, FileNotFoundError):
            return "no such file in the run store", None
        if is_full(error):
            return f"the run store is full: {error}", "make room; the run goes on where it was"
        kind = "does not answer" if is_outage(error) else "refuses access"
        if not self.is_local:
            return f"the run store {kind}: {what_s3_says(error)}", what_helps(error)
        if isinstance(error, PermissionError):
            return f"the run store {kind}: {error}", "check who may read and write there"
        return (
            f"the run store does not answer: {error}",
            "check the path, and the network; the run goes on where it was",
        )

    def _path(self, key: str) -> str:
        # A key may be made of what a stored document names.
        if leads_out(key):
            raise foreign_name(key)
        return f"{self._root}/{key}".rstrip("/")

    def _download(self, key: str, target: Path) -> None:
        self._fs.invalidate_cache()
        prefix = self._path(key)
        for remote in self._fs.find(prefix):
            local = inside(target, remote[len(prefix) :].lstrip("/"))
            local.parent.mkdir(parents=True, exist_ok=True)
            self._fs.get_file(remote, str(local))

    def put_file(self, local: Path, key: str) -> None:
        """Put a local file, which is never changed in place, into the store."""
        if self.is_local:
            self._ask(key, lambda: link_beside(local, Path(self._path(key))))
        else:
            self._ask(key, lambda: self._fs.put_file(str(local), self._path(key)))


@dataclass
class RunFolder:
    """A local folder whose content belongs to a run store (see `RunStore.folder`)."""

    path: Path
    _store: RunStore | None = None
    _key: str = ""
    _published: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def publish(self) -> None:
        """Put every file that changed since the last call into the store."""
        if self._store is None:
            return
        for path, stamp in self._stamps().items():
            if self._published.get(path) != stamp:
                self._store.put_file(path, f"{self._key}/{path.relative_to(self.path).as_posix()}")
                self._published[path] = stamp

    def remember(self) -> None:
        """Take the folder's present content as published."""
        self._published = self._stamps()

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        files = (p for p in self.path.rglob("*") if p.is_file() and not p.name.endswith(".tmp"))
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}
