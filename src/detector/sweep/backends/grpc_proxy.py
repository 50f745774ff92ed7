"""Optuna's gRPC proxy: one process that holds the database's connections for any number of agents.

The proxy adds no state and no rule of its own, so it may be restarted at any time.
"""

import signal
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import grpc
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, GrpcStorageProxy
from optuna.storages._grpc.auto_generated import api_pb2_grpc
from optuna.storages._grpc.client import GrpcClientCache
from optuna.storages._grpc.server import make_server

from detector.interrupt import ASKS_TO_END
from detector.sweep.backends.urls import backend_error

CONNECTIONS = 16
"""Requests that the proxy answers at once, each on a database connection of its own."""

_ANSWER_S = 60.0
_GRACE_S = 5.0
_LOOK_S = 0.5


class _Deadline(grpc.UnaryUnaryClientInterceptor):
    """Optuna waits for ever for a proxy whose machine is gone; this gives up in time."""

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: grpc.ClientCallDetails, request: Any
    ) -> Any:
        call = details._replace(timeout=_ANSWER_S)
        return continuation(call, request)


class ProxyStorage(GrpcStorageProxy):
    """Optuna's client, with a deadline for every answer."""

    def _setup(self) -> None:
        bare = grpc.insecure_channel(
            f"{self._host}:{self._port}", options=[("grpc.max_receive_message_length", -1)]
        )
        self._channel = grpc.intercept_channel(bare, _Deadline())
        stub: Any = api_pb2_grpc.StorageServiceStub
        self._stub = stub(self._channel)
        self._cache = GrpcClientCache(self._stub)


def open_proxy(url: str) -> ProxyStorage:
    """The storage behind the proxy at `grpc://HOST:PORT`.

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
        return ProxyStorage(host=host, port=port)


def serve(storage: BaseStorage, host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Answer agents until SIGTERM or SIGINT; requests under way are answered first.

    Args:
        storage: the database that the sweeps are kept in, with `CONNECTIONS` connections.
        on_ready: called once agents can connect.

    Raises:
        SweepError: the port cannot be listened on.
    """
    try:
        server = make_server(storage, host, port, ThreadPoolExecutor(max_workers=CONNECTIONS))
    except RuntimeError:
        raise backend_error(
            f"cannot listen on port {port}",
            f"grpc://{host}:{port}",
            "choose a free port by --port, and an address of this machine by --host",
        ) from None
    told_to_end = threading.Event()
    for signum in (*ASKS_TO_END, signal.SIGINT):
        signal.signal(signum, lambda *_: told_to_end.set())
    server.start()
    on_ready()
    while not told_to_end.wait(_LOOK_S):  # Windows hears no signal during a wait without end.
        pass
    server.stop(_GRACE_S).wait()
