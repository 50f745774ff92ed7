"""Runs at every start of Python in an image (as `sitecustomize`): an ear for SIGTERM, and a
writable copy of numba's cache.

The kernel keeps signals without a handler from a container's first process. So that SIGTERM ends it
while it still imports, a handler is there before anything else.

numba takes a cache only from a folder that it may write to, and the image's is none where the root
file system is read-only. Without it, each pod would compile for about a minute.
"""

import contextlib
import os
import shutil
import signal
import sys
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


if os.getpid() == 1:
    # 143 is what a shell shows of a process that SIGTERM ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

if "NUMBA_CACHE_DIR" in os.environ:
    # A pod without any writable folder compiles.
    with contextlib.suppress(OSError):
        copy_cache(WARM, Path(os.environ["NUMBA_CACHE_DIR"]))
