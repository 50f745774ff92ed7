"""What is an outage of a store, what is not, and how S3 is reached."""

import errno
from collections.abc import Mapping

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from s3fs.errors import translate_boto_error

from detector.errors import StoreError
from detector.storage.object_store import ENDPOINT, KEY, REGION, SECRET, is_outage, options


def refusal(status: int, code: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "PutObject",
    )


AWAY = [
    ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
    TimeoutError(),
    TimeoutError(),
    OSError(errno.EIO, "a mount that hangs"),
    OSError(errno.ENOSPC, "full"),
    OSError(errno.ESTALE, "NFS"),
    EndpointConnectionError(endpoint_url="http://s3"),
    ConnectTimeoutError(endpoint_url="http://s3"),
    ReadTimeoutError(endpoint_url="http://s3"),
    HTTPClientError(error="reset"),
    aiohttp.ServerDisconnectedError(),
    ResponseParserError("half an answer"),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
    OSError(errno.ENOTCONN, "a mount whose server is gone"),
    refusal(500, "InternalError"),
    refusal(503, "ServiceUnavailable"),
    refusal(503, "SlowDown"),
    refusal(429, "TooManyRequests"),
    refusal(400, "RequestTimeout"),
    refusal(400, "Throttling"),
]
THERE = [
    FileNotFoundError(errno.ENOENT, "none"),
    PermissionError(errno.EACCES, "no"),
    NotADirectoryError(errno.ENOTDIR, "a file"),
    NoCredentialsError(),
    SSLError(endpoint_url="https://s3", error="self-signed certificate"),
    ParamValidationError(report="a bad name"),
    refusal(403, "AccessDenied"),
    refusal(404, "NoSuchBucket"),
    ValueError("a mistake"),
]


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_what_mends_itself_is_an_outage(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize("error", THERE, ids=repr)
def test_what_stays_wrong_is_none(error: Exception) -> None:
    assert not is_outage(error)


@pytest.mark.parametrize(
    "error", [error for error in AWAY + THERE if isinstance(error, ClientError)], ids=repr
)
def test_s3fs_hands_on_which_it_is(error: ClientError) -> None:
    """It makes an OSError of most answers, and keeps the answer as its cause."""
    assert is_outage(translate_boto_error(error)) == is_outage(error)


def test_a_folder_needs_nothing() -> None:
    assert options("/data", {KEY: "k"}) == {}


def test_the_projects_own_variables_say_all_of_s3() -> None:
    given = {ENDPOINT: "http://s3:8333", KEY: "k", SECRET: "s", REGION: "eu-central-1"}
    found = options("s3://bucket/run", given)
    assert found.pop("config_kwargs")["connect_timeout"] > 0
    assert found == {
        "endpoint_url": "http://s3:8333",
        "key": "k",
        "secret": "s",
        "client_kwargs": {"region_name": "eu-central-1"},
    }


def test_who_waits_for_a_store_is_detsweep_and_not_its_client() -> None:
    assert options("s3://bucket/run", {})["config_kwargs"]["retries"] == {"total_max_attempts": 1}


def test_without_them_the_usual_ones_count() -> None:
    assert set(options("s3://bucket/run", {"AWS_ENDPOINT_URL": "http://s3"})) == {"config_kwargs"}


@pytest.mark.parametrize("given", [{KEY: "k"}, {SECRET: "s"}])
def test_half_of_the_credentials_is_an_error_that_names_the_other(given: Mapping[str, str]) -> None:
    (missing,) = {KEY, SECRET} - set(given)
    with pytest.raises(StoreError, match=f"{missing} is not set") as caught:
        options("s3://bucket/run", given)
    assert "'s'" not in str(caught.value)


@pytest.mark.parametrize("variable", [ENDPOINT, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
@pytest.mark.parametrize(
    "endpoint", ["localhost:8333", "localhost", "ftp://s3", "http://", "https:///", "http://a b"]
)
def test_an_endpoint_that_is_no_address_is_named_at_once(variable: str, endpoint: str) -> None:
    with pytest.raises(StoreError, match=rf"^{variable}: .* is no address of a server"):
        options("s3://bucket/run", {variable: endpoint})


def test_an_endpoint_that_is_no_address_is_shown_without_its_password() -> None:
    with pytest.raises(StoreError) as refused:
        options("s3://bucket/run", {ENDPOINT: "me:secret@localhost:8333"})
    assert "secret" not in str(refused.value)
