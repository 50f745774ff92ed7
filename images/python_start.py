"""Runs at every start of Python in an image (as `sitecustomize`): a writable copy of numba's cache.

numba takes a cache only from a folder that it may write to, and the image's is none where the root
file system is read-only. Without it, each pod would compile for about a minute.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

WARM = Path("/opt/numba-cache")


def copy_cache(warm: Path, target: Path) -> None:
    """Copy `warm` to `target`, unless that is there or another process is first."""
    if target.exists() or not warm.is_dir():
        return
    beside = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    copied = beside / "cache"
    shutil.copytree(warm, copied)
    with contextlib.suppress(OSError):  # another process was first
        copied.rename(target)
    shutil.rmtree(beside)


if "NUMBA_CACHE_DIR" in os.environ:
    # A pod without any writable folder compiles.
    with contextlib.suppress(OSError):
        copy_cache(WARM, Path(os.environ["NUMBA_CACHE_DIR"]))
