"""A run store, once in a folder and once on a real S3 server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.storage.run_store import RunStore


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunStore]:
    if request.param == "folder":
        yield RunStore(tmp_path / "store")
    else:
        yield RunStore(f"{request.getfixturevalue('s3_bucket')}/{tmp_path.name}")
