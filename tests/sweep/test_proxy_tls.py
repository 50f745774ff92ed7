"""The proxy over TLS: who has another certificate is not believed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.errors import SweepError
from detector.sweep.backends.storages import open_storage
from detector.sweep.opening import open_backend, serve_proxy
from tests.ports import free_port
from tests.sweep.servers import grpc_proxy
from tests.sweep.test_proxy_token import SPEC

pytest.importorskip("grpc", reason="detsweep[grpc] is not installed")


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """A certificate of this machine, signed by itself, and its key."""
    key, made = folder / f"{name}.key", folder / f"{name}.crt"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=proxy", "-addext", "subjectAltName=IP:127.0.0.1"]
    done = subprocess.run(
        [*words, "-keyout", str(key), "-out", str(made)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"openssl makes no certificate: {done.stderr.decode()}")
    return str(made), str(key)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def encrypted(folder: Path) -> Iterator[str]:
    database = f"sqlite:///{folder}/sweeps.db"
    open_storage(database)
    cert, key = certificate(folder, "right")
    tls = {"DETSWEEP_GRPC_TLS_CERT": cert, "DETSWEEP_GRPC_TLS_KEY": key}
    with grpc_proxy(database, free_port(), "secret", tls) as url:
        yield url


def test_agents_that_know_the_certificate_are_answered(
    encrypted: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_GRPC_TOKEN", "secret")
    monkeypatch.setenv("DETSWEEP_GRPC_TLS_CA", str(folder / "right.crt"))
    sweep = open_backend(encrypted, 60, 10).create(SPEC)
    assert open_backend(encrypted, 60, 10).open(sweep.id).trials() == []


@pytest.mark.parametrize("known", ["none", "another", "unencrypted"])
def test_a_proxy_whose_certificate_is_not_known_is_not_believed(
    encrypted: str, folder: Path, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_GRPC_TOKEN", "secret")
    if known == "another":
        monkeypatch.setenv("DETSWEEP_GRPC_TLS_CA", certificate(folder, "another")[0])
    url = encrypted.replace("grpcs:", "grpc:") if known == "unencrypted" else encrypted
    with pytest.raises(SweepError, match="does not answer"):
        open_backend(url, 60, 0).create(SPEC)


def test_half_of_what_tls_needs_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, _ = certificate(folder, "half")
    monkeypatch.setenv("DETSWEEP_GRPC_TLS_CERT", cert)
    with pytest.raises(SweepError, match="DETSWEEP_GRPC_TLS_KEY= is no file"):
        serve_proxy(f"sqlite:///{folder}/sweeps.db", "127.0.0.1", free_port(), lambda _: None)
