"""Optuna's gRPC proxy: one process that holds the database's connections for any number of agents.

The proxy adds no state and no rule of its own, so it may be restarted at any time.
"""

import hmac
import ipaddress
import os
import signal
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, GrpcStorageProxy
from optuna.storages._grpc.auto_generated import api_pb2_grpc
from optuna.storages._grpc.client import GrpcClientCache
from optuna.storages._grpc.servicer import OptunaStorageProxyService

from detector.console import warn
from detector.errors import SweepError
from detector.interrupt import ASKS_TO_END
from detector.sweep.backends.urls import backend_error

CONNECTIONS = 16
"""Requests that the proxy answers at once, each on a database connection of its own."""

TOKEN = "DETSWEEP_GRPC_TOKEN"
"""What agents show the proxy, in the environment of both. Who can write to a sweep can spoil it."""

TLS_CERT, TLS_KEY, TLS_CA = (f"DETSWEEP_GRPC_TLS_{name}" for name in ("CERT", "KEY", "CA"))
"""PEM files: the proxy's certificate and its key; and for agents the authority that has signed it,
where that is none of those that everybody knows."""

UNENCRYPTED = "DETSWEEP_GRPC_UNENCRYPTED"
"""Set to 1 by who knows that nobody listens between an agent and a proxy without TLS."""

_IN_A_CLUSTER = ("KUBERNETES_SERVICE_HOST", (".svc", ".svc.cluster.local"))
"""What a pod's environment has, and how a service's name ends, unless it is one word."""

_HEADER = "authorization"
_ANSWER_S = 60.0
_GRACE_S = 5.0
_LOOK_S = 0.5


class _Asking(grpc.UnaryUnaryClientInterceptor):
    """Shows the token, and gives up in time: Optuna waits for ever for a proxy whose machine is
    gone."""

    def __init__(self, url: str):
        self._url = url

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: grpc.ClientCallDetails, request: Any
    ) -> Any:
        token = os.environ.get(TOKEN)
        shown = [(_HEADER, f"Bearer {token}")] if token else []
        call = details._replace(timeout=_ANSWER_S, metadata=[*(details.metadata or []), *shown])
        answer = continuation(call, request)
        if answer.code() is grpc.StatusCode.UNAUTHENTICATED:
            raise backend_error(
                "the proxy asks for another token" if token else "the proxy asks for a token",
                self._url,
                f"set {TOKEN} to what it was started with",
            )
        return answer


class _OnlyWithToken(grpc.ServerInterceptor):
    """Answers those who show the token alone."""

    def __init__(self, token: str):
        self._expected = f"Bearer {token}".encode()

    def intercept_service(
        self, continuation: Callable[..., Any], details: grpc.HandlerCallDetails
    ) -> Any:
        shown = dict(details.invocation_metadata).get(_HEADER, "")
        if hmac.compare_digest(str(shown).encode(), self._expected):
            return continuation(details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


def _refuse(_request: Any, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "show the token")


class ProxyStorage(GrpcStorageProxy):
    """Optuna's client, which shows the token and waits for no answer for ever."""

    scheme = "grpc"

    def _setup(self) -> None:
        place = f"{self._host}:{self._port}"
        bare = self._open(place, [("grpc.max_receive_message_length", -1)])
        self._channel = grpc.intercept_channel(bare, _Asking(f"{self.scheme}://{place}"))
        stub: Any = api_pb2_grpc.StorageServiceStub
        self._stub = stub(self._channel)
        self._cache = GrpcClientCache(self._stub)

    def _open(self, place: str, options: list[tuple[str, int]]) -> grpc.Channel:
        if os.environ.get(TOKEN) and os.environ.get(UNENCRYPTED) != "1":
            _warn_of_listeners(self._host, place)
        return grpc.insecure_channel(place, options=options)


class EncryptedProxyStorage(ProxyStorage):
    """The same over TLS: the proxy's certificate has to be that of its host."""

    scheme = "grpcs"

    def _open(self, place: str, options: list[tuple[str, int]]) -> grpc.Channel:
        known = _pem(TLS_CA) if os.environ.get(TLS_CA) else None
        return grpc.secure_channel(place, grpc.ssl_channel_credentials(known), options=options)


@cache
def _warn_of_listeners(host: str, place: str) -> None:
    """Say once that a token goes where others could read it."""
    if not _is_this_machine_alone(host) and not _is_in_this_cluster(host):
        warn(
            f"warning: the token goes to grpc://{place} unencrypted: who listens on the way can "
            f"take it. Give the proxy a certificate and ask for grpcs://{place} "
            f"(docs/sweep-backends.md); {UNENCRYPTED}=1 says that nobody listens there"
        )


def _is_in_this_cluster(host: str) -> bool:
    variable, endings = _IN_A_CLUSTER
    return variable in os.environ and ("." not in host or host.endswith(endings))


def _pem(variable: str) -> bytes:
    """The file that an environment variable names.

    Raises:
        SweepError: it names none, or none that can be read.
    """
    path = os.environ.get(variable, "")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SweepError(
            f"{variable}={path} is no file that can be read: {error.strerror}",
            where="environment",
            remedy="name a PEM file",
        ) from error


def open_proxy(url: str) -> ProxyStorage:
    """The storage behind the proxy at `grpc://HOST:PORT`, or over TLS at `grpcs://HOST:PORT`.

    Raises:
        SweepError: the URL names no host and port.
    """
    address = urlsplit(url)
    try:
        host, port = address.hostname, address.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise backend_error(
            "the proxy's address is not complete",
            url,
            "give grpc://HOST:PORT, for example grpc://localhost:13000",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of optuna, for years
        kind = EncryptedProxyStorage if address.scheme == "grpcs" else ProxyStorage
        return kind(host=host, port=port)


def serve(storage: BaseStorage, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Answer agents until SIGTERM or SIGINT; requests under way are answered first. Over TLS, where
    the environment names a certificate.

    Args:
        storage: the database that the sweeps are kept in, with `CONNECTIONS` connections.
        on_ready: called with the proxy's URL once agents can connect.

    Raises:
        SweepError: the port cannot be listened on; or other machines could reach it, and there is
            no token.
    """
    token = os.environ.get(TOKEN, "")
    require_token(token, host)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=CONNECTIONS),
        interceptors=[_OnlyWithToken(token)] if token else [],
    )
    add: Any = api_pb2_grpc.add_StorageServiceServicer_to_server
    add(OptunaStorageProxyService(storage), server)
    credentials = _server_credentials()
    url = f"{'grpcs' if credentials else 'grpc'}://{host}:{port}"
    try:
        if credentials:
            server.add_secure_port(f"{host}:{port}", credentials)
        else:
            server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        raise backend_error(
            f"cannot listen on port {port}",
            url,
            "choose a free port by --port, and an address of this machine by --host",
        ) from None
    told_to_end = threading.Event()
    for signum in (*ASKS_TO_END, signal.SIGINT):
        signal.signal(signum, lambda *_: told_to_end.set())
    server.start()
    on_ready(url)
    while not told_to_end.wait(_LOOK_S):  # Windows hears no signal during a wait without end.
        pass
    server.stop(_GRACE_S).wait()


def _server_credentials() -> grpc.ServerCredentials | None:
    if not os.environ.get(TLS_CERT) and not os.environ.get(TLS_KEY):
        return None
    return grpc.ssl_server_credentials([(_pem(TLS_KEY), _pem(TLS_CERT))])


def require_token(token: str, host: str) -> None:
    """Refuse an address that other machines reach without a token that they have to show.

    Raises:
        SweepError: it is one, and the token is empty.
    """
    if not token and not _is_this_machine_alone(host):
        raise SweepError(
            "whoever reaches this address could change every sweep",
            where=f"--host {host}",
            remedy=f"set {TOKEN} here and for the agents, to what `openssl rand -hex 32` prints; "
            "or listen on 127.0.0.1",
        )


def _is_this_machine_alone(host: str) -> bool:
    """
    >>> [_is_this_machine_alone(h) for h in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "db")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
