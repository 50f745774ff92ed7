"""What answers in S3's place, or as S3 of another region, ends in one line with its address."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from detector.data.source import fetch
from detector.errors import DataError, StoreError, StoreLostError
from detector.storage import object_store
from detector.storage.run_store import RunStore
from tests.http_server import Answer, Page, http_server

s3fs = pytest.importorskip("s3fs", reason="detsweep[s3] is not installed")

SIGN_IN = Page("<!DOCTYPE html><html><head><title> Sign in </title></head><body/></html>")
REGION = (
    "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; "
    "expecting 'eu-west-1'</Message><Region>eu-west-1</Region></Error>"
)


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("DETSWEEP_CACHE", str(tmp_path / "cache"))
    # fsspec keeps file systems by their arguments, which do not name the endpoint.
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("status", [200, 401, 403, 404])
@pytest.mark.parametrize("ask", ["read", "copy"])
def test_a_proxy_s_login_page_is_named_at_once(
    status: int, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_server(lambda *_: (status, SIGN_IN)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises((StoreError, DataError)) as raised:
            RunStore("s3://b/run").read("best.yaml") if ask == "read" else fetch("s3://b/data")
    assert not isinstance(raised.value, StoreLostError)
    # What is asked of a single file first has an answer without a body.
    title = ' ("Sign in")' if ask == "copy" else ""
    assert f"{url} answers with a web page{title} in place" in str(raised.value)
    assert "NO_PROXY" in str(raised.value)


def test_a_login_page_of_a_server_that_was_s3_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session at a proxy ended amid a run: no trial is to blame."""
    with http_server(lambda *_: (200, SIGN_IN)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setattr(object_store, "_answering", {url})
        with pytest.raises(StoreLostError, match=r"does not answer.*web page"):
            RunStore("s3://b/run", patience_s=0).read("best.yaml")


def test_a_server_of_another_region_is_named_with_what_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with http_server(lambda *_: (400, REGION)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(DataError, match="'us-east-1' is wrong") as raised:
            fetch("s3://b/data")
    assert url in str(raised.value)
    assert "AWS_DEFAULT_REGION" in str(raised.value)


@pytest.mark.parametrize("said", ["", {"please": "sign in"}])
def test_answers_that_hold_nothing_of_s3_are_an_error(
    said: str | dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: Answer = (200, dict(said) if isinstance(said, dict) else said)
    monkeypatch.setenv("DETSWEEP_PATIENCE_SECONDS", "0")
    with http_server(lambda *_: answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises((DataError, StoreLostError)) as raised:
            fetch("s3://b/data")
    assert url in str(raised.value)


class _AnotherProtocol(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


@contextmanager
def ssh_server() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _AnotherProtocol) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_of_another_protocol_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with ssh_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(DataError) as raised:
            fetch("s3://b/data")
    assert url in str(raised.value)
    assert len(str(raised.value).splitlines()) == 2, "the error, and its remedy"
