"""An HTTP server that speaks the calls of Kubeflow Pipelines' API which a submission makes.

A run's steps take a turn at each question after them, as they are told to.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.http_server import Answer, http_server

API = "/apis/v2beta1"
Turn = dict[str, Any]
"""What is said of a run: `state`, `tasks` by name, and `error`. Or `status`, an HTTP error."""


def task(name: str, state: str, error: str = "") -> dict[str, Any]:
    return {
        "task_id": name,
        "display_name": name,
        "state": state,
        **({"error": {"code": 1, "message": error}} if error else {}),
    }


@dataclass
class Kubeflow:
    """The server's side: what it was asked, and what it will say of the run."""

    url: str
    turns: list[Turn]
    experiments: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asked = urlsplit(path)
        match method, asked.path.removeprefix(API):
            case "GET", "/healthz":
                return 200, {"multi_user": False}
            case "GET", "/experiments":
                wanted = json.loads(parse_qs(asked.query)["filter"][0])["predicates"][0]
                named = [e for e in self.experiments if e["display_name"] == wanted["stringValue"]]
                return 200, {"experiments": named}
            case "POST", "/experiments":
                return 200, self._created(self.experiments, {**body, "experiment_id": "e0"})
            case "POST", "/runs":
                return 200, self._created(self.runs, {**body, "run_id": "r0"})
            case "GET", run:
                return self._turn(run.removeprefix("/runs/"))
        return 404, {"message": f"no {method} {path}"}

    @staticmethod
    def _created(among: list[dict[str, Any]], what: dict[str, Any]) -> dict[str, Any]:
        among.append(what)
        return what

    def _turn(self, run_id: str) -> tuple[int, dict[str, Any]]:
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if "status" in turn:
            return turn["status"], {"message": "try again"}
        said = {
            "run_id": run_id,
            "state": turn["state"],
            "run_details": {"task_details": turn.get("tasks", [])},
        }
        return 200, said | ({"error": {"message": turn["error"]}} if "error" in turn else {})


@contextmanager
def kubeflow(turns: Sequence[Turn] = (), token: str | None = None) -> Iterator[Kubeflow]:
    """The server, listening; `token` is what it asks for."""
    served = Kubeflow("", list(turns))

    def respond(method: str, path: str, body: dict[str, Any], headers: Message) -> Answer:
        if token is not None and headers.get("authorization") != f"Bearer {token}":
            return 401, {"message": "who are you?"}
        return served.answer(method, path, body)

    with http_server(respond) as served.url:
        yield served
