"""What tests of several parts share: small data sets on disk, and a real S3 server."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import s3fs
from hypothesis import settings
from PIL import Image

from detector.console import LOG, LogStyle
from detector.data.data_set import DataSet
from detector.data.folds import Folds, make_folds, open_folds
from detector.data.synthetic.drawing import draw_receipts
from tests.seaweedfs import running_seaweedfs

# Lines of progress without times, in this process and those that it starts.
os.environ[LOG] = LogStyle.PLAIN

# numba compiles a kernel within the first example that calls it.
settings.register_profile("detsweep", deadline=None)
settings.load_profile("detsweep")


@pytest.fixture(autouse=True)
def _log_style(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is run in this process sets it for the process."""
    monkeypatch.setenv(LOG, LogStyle.PLAIN)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder for a data set."""
    folder = tmp_path / "receipts"
    folder.mkdir()
    return folder


@pytest.fixture
def write_page(root: Path) -> Callable[..., Path]:
    """Write one page: `write_page("train", "a", lines=3)` or with the annotation's own `text`."""

    def write(
        split: str = "",
        name: str = "a",
        *,
        lines: int = 1,
        text: str | None = None,
        suffix: str = ".jpg",
        size: tuple[int, int] = (64, 48),
    ) -> Path:
        folder = root / split
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / "gt").mkdir(exist_ok=True)
        seed = sum(f"{split}/{name}".encode())
        pixels = np.random.default_rng([seed, len(name)]).integers(0, 256, (*size[::-1], 3))
        image = folder / "images" / f"{name}{suffix}"
        Image.fromarray(pixels.astype(np.uint8)).save(image)
        boxes = [f"2,{2 + i},30,{2 + i},30,{10 + i},2,{10 + i},w{i}" for i in range(lines)]
        content = "\n".join(boxes) if text is None else text
        (folder / "gt" / f"{name}.txt").write_text(content, encoding="utf-8")
        return image

    return write


@pytest.fixture(scope="session")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    """Eight drawn receipts in two folds, and two held out."""
    root = tmp_path_factory.mktemp("receipts") / "data"
    draw_receipts(root, train=8, held_out=2, seed=3)
    return open_folds(root, make_folds(DataSet.read(root).pages(), 2, seed=0))


@pytest.fixture(scope="session")
def s3_bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty bucket on a SeaweedFS server; the environment points at it."""
    folder = tmp_path_factory.mktemp("weed")
    with running_seaweedfs(folder) as server, pytest.MonkeyPatch.context() as environment:
        for name, value in server.environment.items():
            environment.setenv(name, value)
        # fsspec keeps file systems by their arguments, which do not name the endpoint.
        s3fs.S3FileSystem.clear_instance_cache()
        yield f"s3://{server.create_bucket('detsweep-test')}"
        s3fs.S3FileSystem.clear_instance_cache()
