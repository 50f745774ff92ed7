"""Where a data set comes from: a local folder is used as it is, one at an object store is copied
into a cache first. What it holds is not looked at here.
"""

import hashlib
import os
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec

from detector.errors import DataError, StoreLostError
from detector.patience import Patience
from detector.storage.names import leads_out
from detector.storage.object_store import (
    is_outage,
    open_place,
    store_errors,
    what_helps,
    what_s3_says,
)

_BATCH = 64
"""Files that are copied at a time; their downloads overlap."""


def fetch(url: str) -> Path:
    """The local folder of a data set.

    An `s3://` data set is copied into `DETSWEEP_CACHE` (by default `~/.cache/detsweep`). Later
    calls copy what is new or changed, and take away what is gone; a copy that was cut short goes on
    where it stopped. The endpoint and the credentials come from the environment, as for a run
    store (`detector.storage.run_store.RunStore`).

    Args:
        url: a folder or `s3://bucket/prefix`.

    Raises:
        DataError: there is no such folder, or the object store refuses it.
        StoreLostError: the object store did not answer for long, or the cache's disk was full.
    """
    if url.startswith("s3://"):
        try:
            # A copy that was cut short goes on where it stopped.
            return Patience(f"the data set {url}", is_outage, cause=what_s3_says).ask(
                _fetch_s3, url
            )
        except store_errors() as error:
            kind = StoreLostError if is_outage(error) else DataError
            raise kind(
                f"cannot be copied: {what_s3_says(error)}", where=url, remedy=what_helps(error)
            ) from error
    if "://" in url:
        raise DataError("not a place for data", where=url, remedy="give a folder or an s3:// URL")
    folder = Path(url)
    # The path of no name would be the folder that the command runs in.
    if not url.strip() or not folder.is_dir():
        raise DataError(
            "there is no such folder",
            where=url.strip() or "an empty name",
            remedy="check the path; --data, data.path or DETSWEEP_DATA names it",
        )
    return folder


def cache_root() -> Path:
    """Where copies lie, and what need not be found again: `DETSWEEP_CACHE`."""
    return Path(os.environ.get("DETSWEEP_CACHE") or Path.home() / ".cache" / "detsweep")


def cache_folder(url: str) -> Path:
    """Where the copy of a data set at an object store lies."""
    name = url.rstrip("/").rsplit("/", 1)[-1]
    return cache_root() / "data" / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


def _fetch_s3(url: str) -> Path:
    url = url.rstrip("/")
    target = cache_folder(url)
    fs, prefix = open_place(url)
    fs.invalidate_cache()
    remote = {
        _name(key, prefix): info
        for key, info in fs.find(prefix, detail=True).items()
        if info["type"] == "file" and not key.endswith("/")
    }
    if not remote:
        raise DataError("holds no files", where=url, remedy="check the bucket and the prefix")
    missing = [name for name, info in remote.items() if not _is_copied(target / name, info)]
    for start in range(0, len(missing), _BATCH):
        names = missing[start : start + _BATCH]
        _copy(fs, prefix, target, {name: remote[name] for name in names})
    _remove_others(target, remote.keys())
    return target


def _name(key: str, prefix: str) -> str:
    name = key.removeprefix(prefix).lstrip("/")
    if leads_out(name):
        raise DataError("leads out of its folder", where=f"s3://{key}", remedy="rename the object")
    return name


def _is_copied(path: Path, info: Mapping[str, Any]) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return found.st_size == info["size"] and found.st_mtime_ns == _modified_ns(info)


def _copy(
    fs: fsspec.AbstractFileSystem, prefix: str, target: Path, remote: Mapping[str, Any]
) -> None:
    """Copy files beside their place, then rename: a file in place is whole."""
    token = uuid.uuid4().hex
    beside = {name: (target / name).with_name(f".{Path(name).name}.{token}.tmp") for name in remote}
    for path in beside.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fs.get([f"{prefix}/{name}" for name in remote], [str(path) for path in beside.values()])
        for name, path in beside.items():
            # By the object's own time on the copy, a later call knows that it is up to date.
            os.utime(path, ns=(_modified_ns(remote[name]),) * 2)
            path.replace(target / name)
    finally:
        for path in beside.values():
            path.unlink(missing_ok=True)


def _remove_others(target: Path, names: Collection[str]) -> None:
    """Remove the copies of objects that are gone, but not what another process is copying."""
    for path in target.rglob("*"):
        if (
            path.is_file()
            and path.suffix != ".tmp"
            and path.relative_to(target).as_posix() not in names
        ):
            path.unlink()


def _modified_ns(info: Mapping[str, Any]) -> int:
    """The object's time in nanoseconds, to the millisecond: finer would not survive a float."""
    modified = info["LastModified"]
    if not isinstance(modified, datetime):
        raise OSError("no time of an object is said, as S3 says it")
    seconds = modified.timestamp()
    return round(seconds * 1000) * 1_000_000
