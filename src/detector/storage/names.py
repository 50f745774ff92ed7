"""Names that come from a stored document or a listing: whether they stay where they belong."""

from pathlib import Path, PurePath, PurePosixPath

from detector.errors import StoreError


def leads_out(name: str) -> bool:
    """Whether a name leads out of the folder that it belongs in: an absolute path, one with `..`,
    a drive or another store.

    >>> leads_out("folds/0/best.ckpt"), leads_out("../x"), leads_out("s3://bucket/x")
    (False, True, True)
    """
    own, posix = PurePath(name), PurePosixPath(name)
    return (
        posix.is_absolute()
        or bool(own.anchor)
        or ".." in (*posix.parts, *own.parts)
        or "://" in name
        or "\0" in name
    )


def inside(folder: Path, name: str) -> Path:
    """The path of a name in a folder.

    Raises:
        StoreError: it leads out of it.
    """
    if leads_out(name):
        raise foreign_name(name)
    return folder / name


def foreign_name(name: str) -> StoreError:
    """The error about a name that leads out of its folder."""
    return StoreError(
        "leads out of its folder",
        where=repr(name)[1:-1],
        remedy="nothing that detsweep writes has such a name: find out who has written there",
    )
