"""An HTTP server that speaks the calls of Kubeflow Pipelines' API which a submission makes.

What it says of a run was recorded from Kubeflow Pipelines 2.17, and cut down to what is read of it.
"""

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.http_server import Answer, Page, Redirect, http_server

API = "/apis/v2beta1"
OLD_API = "/apis/v1beta1"
LOGS = "/apis/v1alpha1"
RECORDED = Path(__file__).parent / "recorded"
NO_SUCH_RUN = (404, {"code": 5, "message": "Run r0 not found"})

Look = dict[str, Any]
"""What is seen of a run at once: `run` as the API has it, the `workflow` behind it, and the `logs`
of pods by name. Or `answer`, in the place of all that."""


def recorded(name: str) -> list[Look]:
    """Looks at a real run.

    `disrupted` is a run whose agents 2 and 3 lost their pods twice; `failed` one whose agent's
    third pod was ended by SIGTERM, which Kubeflow counts as a failure; `terminated` one that a
    person ended.
    """
    looks: list[Look] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return looks


def ended(look: Look, state: str, at: str = "2026-11-26T15:15:23Z") -> Look:
    """The same look at a run that is in another state."""
    other = copy.deepcopy(look)
    other["run"] |= {"state": state, "finished_at": at}
    return other


def away(status: int = 503) -> Look:
    """No look: the server has trouble."""
    return {"answer": (status, {"message": "try again"})}


@dataclass
class Kubeflow:
    """The server's side: what it was asked, and what it will say of the run.

    Attributes:
        looks: one for each time that the run is asked for; the last stays.
        token: what it asks for; None for nothing.
        has_old_api, has_logs, has_pages: which of its parts answer.
        page: what stands in front of it and answers in its place.
        tokens, cookies: those that came, with each question.
        retried: how often the run was to be tried again.
        retry_answers: what was said to that; well where there are no more.
    """

    url: str = ""
    looks: list[Look] = field(default_factory=list)
    token: str | None = None
    has_old_api: bool = True
    has_logs: bool = True
    has_pages: bool = False
    page: Page | Redirect | None = None
    experiments: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    cookies: list[str | None] = field(default_factory=list)
    retried: int = 0
    retry_answers: list[Answer] = field(default_factory=list)
    _shown: Look = field(default_factory=dict)

    def respond(self, method: str, path: str, body: dict[str, Any], headers: Message) -> Answer:
        self.tokens.append(headers.get("authorization"))
        self.cookies.append(headers.get("cookie"))
        if self.token is not None and self.tokens[-1] != f"Bearer {self.token}":
            return 401, {"message": "who are you?"}
        if self.page is not None:
            return (302 if isinstance(self.page, Redirect) else 200), self.page
        return self._answer(method, path, body)

    def _answer(  # noqa: PLR0911  (one for each question)
        self, method: str, path: str, body: dict[str, Any]
    ) -> Answer:
        asked = urlsplit(path)
        query = parse_qs(asked.query)
        match method, asked.path.split("/")[1:]:
            case "GET", ["apis", "v2beta1", "healthz"]:
                return 200, {"multi_user": False}
            case "GET", ["apis", "v2beta1", "experiments"]:
                wanted = json.loads(query["filter"][0])["predicates"][0]
                named = [e for e in self.experiments if e["display_name"] == wanted["stringValue"]]
                return 200, {"experiments": named}
            case "POST", ["apis", "v2beta1", "experiments"]:
                return 200, self._created(self.experiments, {**body, "experiment_id": "e0"})
            case "POST", ["apis", "v2beta1", "runs"]:
                return 200, self._created(self.runs, {**body, "run_id": "r0"})
            case "POST", ["apis", "v2beta1", "runs", action] if action.endswith(":retry"):
                self.retried += 1
                return self.retry_answers.pop(0) if self.retry_answers else (200, {})
            case "GET", ["apis", "v2beta1", "runs", _]:
                return self._look()
            case "GET", ["apis", "v1beta1", "runs", _] if self.has_old_api:
                workflow = self._shown.get("workflow", {})
                return 200, {"pipeline_runtime": {"workflow_manifest": json.dumps(workflow)}}
            case "GET", ["apis", "v1alpha1", "runs", _, "nodes", pod, "log"] if self.has_logs:
                return self._log(pod)
            case "GET", ["k8s", "pod", "logs"] if self.has_pages:
                return self._log(query["podname"][0])
        return 404, {"code": 5, "message": "Not Found"}

    def _look(self) -> Answer:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if "answer" in look:
            status, said = look["answer"]
            return status, said
        self._shown = look
        return 200, look["run"]

    def _log(self, pod: str) -> Answer:
        text = self._shown.get("logs", {}).get(pod)
        # This is how the API says that it has none: with a status that says all is well.
        return 200, text if text is not None else {"error_message": "Failed to read logs"}

    @staticmethod
    def _created(among: list[dict[str, Any]], what: dict[str, Any]) -> dict[str, Any]:
        among.append(what)
        return what


@contextmanager
def kubeflow(looks: Sequence[Look] = (), tls: Any = None, **settings: Any) -> Iterator[Kubeflow]:
    """The server, listening."""
    served = Kubeflow(looks=list(looks) or [{"run": {"state": "PENDING"}}], **settings)
    with http_server(served.respond, tls) as served.url:
        yield served
