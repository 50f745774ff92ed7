"""An HTTP server that speaks those calls of Kubernetes' API that a TrainJob and a label need.

What becomes of a job is told to it as turns, one for each look at the job.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.http_server import http_server

NAMESPACE = "sweeps"
JOBS = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{NAMESPACE}/trainjobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
JSON = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """A look at the cluster: the job's condition, its pods, or a status to fail with."""

    condition: JSON | None = None
    pods: tuple[JSON, ...] = ()
    status: int = 200


def ended(kind: str, message: str = "") -> JSON:
    return {"type": kind, "status": "True", "reason": "Jobs" + kind, "message": message}


def pod(name: str, phase: str, **status: Any) -> JSON:
    return {"metadata": {"name": name}, "status": {"phase": phase, **status}}


def killed(name: str, reason: str, code: int) -> JSON:
    state = {"terminated": {"reason": reason, "exitCode": code}}
    container = {
        "name": "node",
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }
    return pod(name, "Failed", containerStatuses=[container])


@dataclass
class Cluster:
    """The server's side.

    Attributes:
        turns: what is still to come; the last one stays.
        jobs: that are there, by name.
        created, deleted: names, in their order.
        logs: lines by pod.
        labels: that were set, of any pod.
    """

    url: str
    turns: list[Turn]
    logs: dict[str, str]
    forbidden: bool
    jobs: dict[str, JSON] = field(default_factory=dict)
    created: list[JSON] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    tails: list[str | None] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def answer(self, method: str, path: str, body: JSON) -> tuple[int, JSON | str]:
        asked = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if self.forbidden:
            return 403, {"kind": "Status", "code": 403}
        if asked.path.startswith(JOBS):
            return self._job(method, asked.path.removeprefix(JOBS).lstrip("/"), body)
        if asked.path == PODS:
            self.asked_for.append(query["labelSelector"])
            return 200, {"kind": "PodList", "apiVersion": "v1", "items": list(self._turn.pods)}
        if method == "PATCH":
            self.labels.update(body["metadata"]["labels"])
            return 200, pod(asked.path.removeprefix(f"{PODS}/"), "Running")
        self.tails.append(query.get("tailLines"))
        return 200, self.logs[asked.path.removeprefix(f"{PODS}/").removesuffix("/log")]

    def _job(self, method: str, name: str, body: JSON) -> tuple[int, JSON]:
        if method == "POST":
            self.created.append(body)
            self.jobs[body["metadata"]["name"]] = body
            return 201, body
        if name not in self.jobs:
            return 404, {"kind": "Status", "code": 404}
        if method == "DELETE":
            self.deleted.append(name)
            del self.jobs[name]
            return 200, {"kind": "Status", "status": "Success"}
        turn = self._turn
        if len(self.turns) > 1:
            self.turns.pop(0)
        if turn.status != 200:
            return turn.status, {"kind": "Status", "code": turn.status}
        conditions = [turn.condition] if turn.condition else []
        return 200, {**self.jobs[name], "status": {"conditions": conditions}}

    @property
    def _turn(self) -> Turn:
        return self.turns[0]


@contextmanager
def cluster(
    turns: Sequence[Turn] = (Turn(),), logs: dict[str, str] | None = None, forbidden: bool = False
) -> Iterator[Cluster]:
    """The server, listening."""
    served = Cluster("", list(turns), logs or {}, forbidden)
    with http_server(lambda method, path, body, _: served.answer(method, path, body)) as served.url:
        yield served
