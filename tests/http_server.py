"""An HTTP server of a test's own, in whose place a service in a cluster would answer."""

import json
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, "dict[str, Any] | str | Page | Redirect"]
"""A status, and what is said: JSON, or a text as it is."""
Respond = Callable[[str, str, dict[str, Any], Message], Answer]
"""From method, path, JSON body and headers of a request."""


@dataclass(frozen=True)
class Page:
    """HTML."""

    text: str


@dataclass(frozen=True)
class Redirect:
    """To another address."""

    target: str


class Server(ThreadingHTTPServer):
    """A thread for each request."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed amid an answer, or does not trust this server, is no fault of
        the server's."""
        if not isinstance(sys.exception(), (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


@contextmanager
def http_server(respond: Respond, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The URL of a server on loopback, listening; by https with the certificate of `tls`."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            status, said = respond(self.command, self.path, body, self.headers)
            self.send_response(status)
            content = b""
            match said:
                case Redirect(target):
                    self.send_header("Location", target)
                case Page(text):
                    self.send_header("Content-Type", "text/html; charset=utf-8")
                    content = text.encode()
                case str():
                    self.send_header("Content-Type", "text/plain")
                    content = said.encode()
                case _:
                    self.send_header("Content-Type", "application/json")
                    content = json.dumps(said).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

        def log_message(self, format: str, *args: object) -> None: ...

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
