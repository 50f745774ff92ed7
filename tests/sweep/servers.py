"""Real servers for the tests of the backends: each of its own, on loopback, in a temporary folder.

PostgreSQL refuses to run as root, so it is started as another user where the tests are root.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ports import free_port

USER, PASSWORD = "detsweep", "s3cret/word"
URL_PASSWORD = "s3cret%2Fword"

_START_S = 60
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "min_wal_size": "4MB",
    "max_wal_size": "16MB",
}


def find_postgresql() -> Path | None:
    """The folder of PostgreSQL's programs, where they are installed."""
    on_path = shutil.which("pg_ctl")
    candidates = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if on_path:
        candidates.append(Path(on_path).parent)
    return next((path for path in candidates if (path / "initdb").exists()), None)


class Postgresql:
    """A server with one role, `USER`, and as many databases as are asked for."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self.programs, self.folder, self.port = programs, folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{URL_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """The URL of a new database."""
        connection = self._connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {database}")
        connection.close()
        return self.url(database)

    def start(self) -> None:
        """Return once it takes connections."""
        import psycopg2

        options = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        self._process = subprocess.Popen(
            [
                str(self.programs / "postgres"),
                f"-D{self.folder / 'data'}",
                f"-p{self.port}",
                *options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
            **_not_root(),
        )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self._connect().close()
                return
            except psycopg2.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text(encoding="utf-8")) from None
                time.sleep(0.1)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT drops every connection and shuts down; SIGQUIT leaves recovery to the start."""
        if self._process is not None and self.runs:
            self._process.send_signal(how)
            self._process.wait(_START_S)

    def initialise(self) -> None:
        (self.folder / "password").write_text(PASSWORD, encoding="utf-8")
        words = [f"-D{self.folder / 'data'}", f"-U{USER}", f"--pwfile={self.folder / 'password'}"]
        words += [
            "-A",
            "scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--wal-segsize=1",
        ]
        subprocess.run(
            [str(self.programs / "initdb"), *words], check=True, capture_output=True, **_not_root()
        )

    def _connect(self) -> Any:
        import psycopg2

        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname="postgres"
        )


@contextmanager
def postgresql(programs: Path, disk: Path | None = None) -> Iterator[Postgresql]:
    """A running server, gone with its folder in the end.

    Args:
        disk: where its folder is made; any user has to be allowed to look into it, as into none of
            pytest's own.
    """
    folder = Path(tempfile.mkdtemp(prefix="detsweep-postgresql-", dir=disk))
    try:
        if _is_root():
            shutil.chown(folder, _unprivileged())
        server = Postgresql(programs, folder, free_port())
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def grpc_proxy(
    database: str, port: int, token: str = "", tls: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The URL of a running `detsweep sweep serve`, which asks for a token if there is one.

    Args:
        tls: what its environment says of TLS.
    """
    scheme = "grpcs" if tls else "grpc"
    command = [sys.executable, "-c", "from detector.cli.main import run; run()", "sweep", "serve"]
    process = subprocess.Popen(
        [*command, f"--backend={database}", f"--port={port}"],
        env={**os.environ, "DETSWEEP_GRPC_TOKEN": token, **(tls or {})},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready == f"serving sweeps at {scheme}://127.0.0.1:{port}\n"
        yield f"{scheme}://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(30) == 0


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path | None]:
    """A disk in memory that a test can fill; None where the tests may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="detsweep-disk-"))
    options = ["-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, check=False)
    try:
        yield folder if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        folder.rmdir()


@contextmanager
def filled(disk: Path | None) -> Iterator[None]:
    """Not a byte is left on a disk while the block runs."""
    if disk is None:
        yield
        return
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            block = bytes(1 << 20)
            while block:
                try:
                    file.write(block)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    block = block[: len(block) // 2]
        yield
    finally:
        filler.unlink()


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _unprivileged() -> str:
    if sys.platform == "win32":
        raise OSError("no server is started as another user on Windows")
    import pwd

    names: Sequence[str] = [entry.pw_name for entry in pwd.getpwall()]
    return "postgres" if "postgres" in names else "nobody"


def _not_root() -> Any:
    """What `subprocess` is given to run a server, which refuses to run as root."""
    return {"user": _unprivileged(), "group": _group()} if _is_root() else {}


def _group() -> str:
    if sys.platform == "win32":
        raise OSError("no server is started as another user on Windows")
    import grp
    import pwd

    return grp.getgrgid(pwd.getpwnam(_unprivileged()).pw_gid).gr_name
