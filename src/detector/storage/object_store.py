"""Places outside of this machine: one way to open a URL, and to know an outage from a refusal.

S3's endpoint and credentials come from `DETSWEEP_S3_*`, or from `AWS_*` where those are not set. A
pod of Kubeflow has the first: its launcher would take the second for those of its own store.
"""

import errno
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import fsspec

from detector.errors import StoreError
from detector.extras import missing_extra
from detector.redacting import has_password, shown_url

ENDPOINT, KEY, SECRET, REGION = (
    f"DETSWEEP_S3_{name}"
    for name in ("ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION")
)

_CONNECT_S, _READ_S = 10, 30
_AWAY = {
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EBUSY", "EDQUOT", "EIO", "ENOSPC", "EPIPE", "EREMOTEIO", "ESTALE"),
        *("ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH"),
        *("ENETDOWN", "ENETRESET", "ENETUNREACH", "ENOTCONN", "ETIMEDOUT"),
    )
    if hasattr(errno, name)  # Windows has not all of them
}
_SERVER_ERROR, _TOO_MANY_REQUESTS = 500, 429
_LATER = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"}
"""What S3 says, with various statuses, to who should ask again."""


_WRONG_REGION = {
    *("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"),
    "IllegalLocationConstraintException",
}
_ENDPOINTS = (ENDPOINT, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_AMAZON = "Amazon's S3"

_answering: set[str] = set()
"""Endpoints that have answered this process as S3 does."""


class NotS3Error(OSError):
    """A web page came where S3 should have answered: of a proxy that asks who one is, say."""

    def __init__(self, problem: str, *, mends_itself: bool):
        super().__init__(problem)
        self.mends_itself = mends_itself


def open_place(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL, and the path in it.

    Raises:
        StoreError: of S3's settings one is there and another, that it needs, is not; or the URL
            holds a password, which would be kept wherever the URL is.
        MissingExtraError: the URL's library comes with an extra that is not installed.
        ValueError, ImportError: the URL's protocol is unknown or its library is missing.
    """
    if has_password(url):
        raise StoreError(
            "the URL holds a password",
            where=shown_url(url),
            remedy=f"take it out and set {KEY} and {SECRET}",
        )
    try:
        fs, path = fsspec.core.url_to_fs(url, **options(url))
    except ImportError as error:
        # fsspec's own error names no module; what it was raised from does.
        raise missing_extra(error.__cause__) or error from None
    if url.startswith("s3://"):
        # Of s3fs, beside botocore's own: a server that is frozen would be asked 25 times before
        # anyone hears of it.
        fs.retries = 1
        if fs.session is None:
            fs.session, fs._session_is_owned = _session(), False
    return fs, path


def _session() -> Any:
    """What makes clients of S3 that look at every answer before it is read."""
    from aiobotocore.session import AioSession  # noqa: PLC0415  # comes with S3's client

    session = AioSession()
    # First, for botocore has a handler that makes an error of the server's own of a page.
    session.get_component("event_emitter").register_first("before-parse.s3.*", _refuse_pages)
    return session


def _refuse_pages(response_dict: Mapping[str, Any], **_: object) -> None:
    """Raise where a web page answers.

    An object may be a page, too; every answer of S3 has a header that no other server sends.
    """
    headers = {name.lower(): value for name, value in response_dict["headers"].items()}
    status, at = response_dict["status_code"], endpoint()
    if any(name.startswith("x-amz-") for name in headers):
        _answering.add(at)
    elif status < _SERVER_ERROR and headers.get("content-type", "").startswith("text/html"):
        raise NotS3Error(
            f"{at} answers with a web page{_title(response_dict['body'])} in place of S3's answer",
            mends_itself=at in _answering,
        )


def _title(body: object) -> str:
    """
    >>> _title(b"<html><title>Sign in</title>"), _title(b"")
    (' ("Sign in")', '')
    """
    text = body.decode(errors="replace") if isinstance(body, bytes) else ""
    found = re.search(r"<title>\s*([^<]{1,80}?)\s*</title>", text)
    return f' ("{found[1]}")' if found else ""


def endpoint(environ: Mapping[str, str] = os.environ) -> str:
    """Which server answers for s3:// URLs, without a password."""
    given = next((environ[name] for name in _ENDPOINTS if environ.get(name)), None)
    return _AMAZON if given is None else shown_url(given)


def what_s3_says(error: BaseException) -> str:
    """An error in one line, with the server that it is about."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if endpoint() in line else f"{endpoint()}: {line}"


def what_helps(error: BaseException) -> str:
    """What to do about an error of S3."""
    if isinstance(error, NotS3Error):
        return "check AWS_ENDPOINT_URL, HTTPS_PROXY and NO_PROXY; sign in where a proxy asks for it"
    if _code(error) in _WRONG_REGION:
        return "set AWS_DEFAULT_REGION to the bucket's region, and AWS_ENDPOINT_URL to its server"
    return "check AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def _code(error: BaseException) -> str | None:
    """What S3 calls its refusal."""
    refusal = _loaded("botocore.exceptions", "ClientError")
    cause: Any = error if isinstance(error, refusal) else error.__cause__
    return cause.response.get("Error", {}).get("Code") if isinstance(cause, refusal) else None


def options(url: str, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What fsspec is given to open a URL.

    >>> options("/data"), options("s3://b", {"DETSWEEP_S3_REGION": "eu-central-1"})["client_kwargs"]
    ({}, {'region_name': 'eu-central-1'})
    """
    if not url.startswith("s3://"):
        return {}
    _require_endpoint(environ)
    given = {name: environ[name] for name in (ENDPOINT, KEY, SECRET, REGION) if environ.get(name)}
    if (KEY in given) != (SECRET in given):
        missing = SECRET if KEY in given else KEY
        raise StoreError(
            f"{missing} is not set",
            where="environment",
            remedy=f"set {KEY} and {SECRET}, or neither",
        )
    # Who waits for a store does so by `detector.patience`, which says so.
    asks_once = {"retries": {"total_max_attempts": 1}}
    settings: dict[str, Any] = {
        "config_kwargs": {"connect_timeout": _CONNECT_S, "read_timeout": _READ_S, **asks_once}
    }
    if REGION in given:
        settings["client_kwargs"] = {"region_name": given[REGION]}
    names = {ENDPOINT: "endpoint_url", KEY: "key", SECRET: "secret"}
    return settings | {names[name]: value for name, value in given.items() if name in names}


def _require_endpoint(environ: Mapping[str, str]) -> None:
    """Refuse an endpoint that is no address: nothing that is waited for would mend it."""
    variable = next((name for name in _ENDPOINTS if environ.get(name)), None)
    if variable is None:
        return
    scheme, _, rest = environ[variable].partition("://")
    if scheme not in ("http", "https") or not rest.strip("/") or any(map(str.isspace, rest)):
        raise StoreError(
            f"{shown_url(environ[variable])!r} is no address of a server",
            where=variable,
            remedy="begin it with http:// or https://, such as http://localhost:8333",
        )


def store_errors() -> tuple[type[Exception], ...]:
    """What a file system of fsspec raises; an `except` asks for it when something was raised."""
    return (
        OSError,
        *_loaded("botocore.exceptions", "BotoCoreError"),
        *_loaded("botocore.parsers", "ResponseParserError"),
        *_loaded("aiohttp", "ClientError"),
    )


def is_outage(error: BaseException) -> bool:
    """Whether an error says that a store is away or full, which mends itself, rather than that the
    question was wrong."""
    refusal = _loaded("botocore.exceptions", "ClientError")
    cause: Any = error if isinstance(error, refusal) else error.__cause__
    if isinstance(cause, refusal):
        status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = cause.response.get("Error", {}).get("Code")
        return status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS or code in _LATER
    if isinstance(error, NotS3Error):
        return error.mends_itself
    # What speaks another protocol will not learn this one.
    said = getattr(error, "kwargs", {}).get("error")
    if isinstance(said, _loaded("aiohttp", "ClientResponseError")):
        return False
    # A certificate that is not trusted, or a server without TLS, does not mend itself.
    if isinstance(error, _loaded("botocore.exceptions", "SSLError")):
        return False
    # First, since some of them are an OSError too, without a number.
    unreachable = (
        *_loaded("botocore.exceptions", "HTTPClientError", "ConnectionError"),
        *_loaded("botocore.exceptions", "IncompleteReadError"),
        # Half an answer, of a server that was killed.
        *_loaded("botocore.parsers", "ResponseParserError"),
        *_loaded("aiohttp", "ClientError"),
    )
    if isinstance(error, (*unreachable, ConnectionError, TimeoutError)):
        return True
    return isinstance(error, OSError) and error.errno in _AWAY


def _loaded(library: str, *names: str) -> tuple[type[Any], ...]:
    """Classes of a library that is loaded: one that is not has raised nothing. They come with S3's
    client, which takes long to load and is not installed everywhere."""
    module = sys.modules.get(library)
    return () if module is None else tuple(getattr(module, name) for name in names)
