"""optuna-dashboard where the trials can be read; a page that says why where they can't.

Before the first sweep there are no tables, a server may be away or refuse the password: each of
these is said on the page, in answers of the API, and in the log when it changes. Needs what the
dashboard's image holds, and nothing of detsweep.

optuna-dashboard itself asks nobody who he is, and deletes a study for any page that a browser has
open. Here it is behind a password, and can only be looked at.
"""

import argparse
import base64
import hmac
import html
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import sqlalchemy
from optuna.exceptions import OptunaError
from optuna.storages import RDBStorage
from optuna_dashboard import wsgi
from sqlalchemy.exc import SQLAlchemyError

StartResponse = Callable[..., Any]
Page = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

LOOK_EVERY_S = 5.0
PASSWORD = "DASHBOARD_PASSWORD"
KEPT_TO_ITSELF = [
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
]
"""No page of another site may show or load what is here."""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>No trials to show</title></head>
<body><h1>No trials to show</h1><p>{reason}</p><p>This page looks again every 5 seconds.</p></body>
</html>
"""


class Trials:
    """The database of the trials, and the page that shows them."""

    def __init__(self, url: str):
        self._place = sqlalchemy.make_url(url)
        # A connection that broke with the server's restart is noticed before it is used. None of
        # them may change anything.
        self._engine_options = {
            "pool_pre_ping": True,
            "connect_args": {
                "connect_timeout": 5,
                "options": "-c default_transaction_read_only=on",
            },
        }
        self._engine = sqlalchemy.create_engine(url, pool_size=1, **self._engine_options)
        self._page: Page | None = None
        self._said = ""
        self._lock = threading.Lock()

    def why_not(self) -> str | None:
        """Why the trials can't be read; None where they can. Said in the log when it changes."""
        reason = self._look()
        news = reason or "the trials can be read"
        with self._lock:
            if news != self._said:
                print(news, file=sys.stderr, flush=True)
                self._said = news
        return reason

    def _look(self) -> str | None:
        place = self._place
        try:
            with self._engine.connect() as connection:
                if not sqlalchemy.inspect(connection).has_table("studies"):
                    return (
                        f"no sweep yet: the database {place.database} at {place.host} has no "
                        "tables, which the first sweep makes"
                    )
            self.page()
        except (SQLAlchemyError, OptunaError, RuntimeError) as error:
            # The database's own words.
            cause = getattr(error, "orig", None) or error
            return " ".join(str(cause).split())
        return None

    def page(self) -> Page:
        """optuna-dashboard, once the trials can be read."""
        with self._lock:
            if self._page is None:
                storage = RDBStorage(
                    self._place.render_as_string(hide_password=False),
                    engine_kwargs=self._engine_options,
                    skip_compatibility_check=True,
                    skip_table_creation=True,
                )
                self._page = wsgi(storage)
            return self._page


class Site:
    """What is served: the trials, or the reason for which there are none to be seen."""

    def __init__(self, trials: Trials):
        self._trials = trials

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        reason = self._trials.why_not()
        if reason is None:
            return self._trials.page()(environ, start_response)
        unavailable = "503 Service Unavailable"
        if path.startswith("/api/"):
            text = json.dumps({"reason": reason})
            return _answer(start_response, unavailable, "application/json", text)
        text = PAGE.format(reason=html.escape(reason))
        return _answer(start_response, unavailable, "text/html; charset=utf-8", text)


class Guard:
    """Lets those look at a site who know its password, and nobody change anything.

    Args:
        site: what is guarded.
        password: that a browser asks for; the user's name does not matter.
    """

    def __init__(self, site: Page, password: str):
        self._site, self._password = site, password.encode()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO") == "/healthz":
            return _answer(start_response, "200 OK", "text/plain", "ok\n")
        if not self._knows_password(environ.get("HTTP_AUTHORIZATION", "")):
            ask = ("WWW-Authenticate", 'Basic realm="detsweep", charset="UTF-8"')
            text = "The password is in the Secret of the dashboard.\n"
            return _answer(start_response, "401 Unauthorized", "text/plain", text, ask)
        if _is_foreign(environ):
            text = "Another site's page may not ask for this.\n"
            return _answer(start_response, "403 Forbidden", "text/plain", text)
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            text = "Nothing can be changed here.\n"
            allow = ("Allow", "GET, HEAD")
            return _answer(start_response, "405 Method Not Allowed", "text/plain", text, allow)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, *KEPT_TO_ITSELF], *rest)

        return self._site(environ, start)

    def _knows_password(self, authorization: str) -> bool:
        kind, _, credentials = authorization.partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            _, _, password = base64.b64decode(credentials, validate=True).partition(b":")
        except ValueError:
            return False
        return hmac.compare_digest(password, self._password)


def _is_foreign(environ: dict[str, Any]) -> bool:
    """Whether a browser says that a page of another site asks."""
    if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin"):
        # A link on another page may lead here, which only shows what is here.
        return environ.get("HTTP_SEC_FETCH_MODE") != "navigate"
    origin = environ.get("HTTP_ORIGIN")
    return origin is not None and origin.partition("://")[2] != environ.get("HTTP_HOST")


def _answer(
    start_response: StartResponse, status: str, kind: str, text: str, *more: tuple[str, str]
) -> list[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *more])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing: a browser asks every few seconds, and so does the cluster."""


def watch(trials: Trials) -> None:
    """Look every few seconds, for the log of a page that nobody asks for."""
    while True:
        trials.why_not()
        time.sleep(LOOK_EVERY_S)


def main() -> None:
    """Serve the dashboard until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="Of the database, without the password: that is PGPASSWORD.")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    # Process 1 of a container has to say itself that it ends when it is asked to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    password = os.environ.get(PASSWORD, "")
    if not password:
        sys.exit(f"{PASSWORD} is not set, and without a password the page is shown to nobody")
    trials = Trials(arguments.url)
    threading.Thread(target=watch, args=(trials,), daemon=True).start()
    site = Guard(Site(trials), password)
    with make_server(arguments.host, arguments.port, site, _Server, _Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
