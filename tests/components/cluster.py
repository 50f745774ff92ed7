"""An HTTP server that speaks those calls of Kubernetes' API that a TrainJob and a label need.

It is for what a real cluster does not do when it is asked: an answer that is late, cut off or a
refusal, in the middle of a job. What becomes of a job comes as turns, one for each look at it. The
rest is in tests/cluster.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.http_server import Answer, http_server

NAMESPACE = "sweeps"
JOBS = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{NAMESPACE}/trainjobs"
JOB_SETS = f"/apis/jobset.x-k8s.io/v1alpha2/namespaces/{NAMESPACE}/jobsets"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
PODS = f"{CORE}/pods"
JSON = dict[str, Any]
_LOGGED = "2026-01-01T00:00:00.{:09}Z"
Fault = Callable[[], Answer]


@dataclass(frozen=True)
class Turn:
    """A look at a job: its condition and its pods."""

    condition: JSON | None = None
    pods: tuple[JSON, ...] = ()


def ended(kind: str, message: str = "") -> JSON:
    return {"type": kind, "status": "True", "reason": "Jobs" + kind, "message": message}


def pod(name: str, phase: str, **status: Any) -> JSON:
    return {"metadata": {"name": name}, "status": {"phase": phase, **status}}


def container(**state: JSON) -> JSON:
    """A container's status: `terminated={…}` or `waiting={…}`."""
    known = {"name": "node", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    return {**known, "state": state}


def killed(name: str, reason: str, code: int) -> JSON:
    state = container(terminated={"reason": reason, "exitCode": code})
    return pod(name, "Failed", containerStatuses=[state])


def refusal(status: int, message: str) -> Fault:
    """An answer of the API's own."""
    body = {"kind": "Status", "code": status, "message": message}
    return lambda: (status, body)


def cut_off() -> Answer:
    """No answer: the connection ends."""
    raise ConnectionResetError


@dataclass
class Hang:
    """No answer until the test is over, and the connection stays."""

    over: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> Answer:
        self.begun.set()
        self.over.wait()
        raise ConnectionResetError


@dataclass
class Cluster:
    """The server's side.

    Attributes:
        turns: what is still to come; the last one stays.
        faults: by "METHOD resource", such as "POST trainjobs": what the next calls get in place of
            an answer. With `late_faults`, after they had their effect.
        jobs: that are there, by name.
        job_sets: how many more looks at a JobSet find it.
        created, deleted: manifests and names, in their order; `options` those of the deletions.
        events, workloads: of the namespace.
        logs: lines by pod.
        labels: that were set, of any pod.
    """

    url: str
    turns: list[Turn]
    logs: dict[str, str]
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    late_faults: dict[str, list[Fault]] = field(default_factory=dict)
    jobs: dict[str, JSON] = field(default_factory=dict)
    job_sets: int = 0
    events: list[JSON] = field(default_factory=list)
    workloads: list[JSON] = field(default_factory=list)
    created: list[JSON] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    options: list[JSON] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    queries: list[JSON] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def put(self, manifest: JSON, **metadata: Any) -> None:
        """Have a job there."""
        number = len(self.created) + len(self.jobs) + 1
        made = {"uid": f"uid-{number}", "resourceVersion": str(number)}
        name = manifest["metadata"]["name"]
        self.jobs[name] = {**manifest, "metadata": {**manifest["metadata"], **made, **metadata}}

    def answer(self, method: str, path: str, body: JSON) -> Answer:
        asked = urlsplit(path)
        resource = asked.path.split(NAMESPACE + "/")[1].split("/")
        call = f"{method} {'log' if resource[-1] == 'log' else resource[0]}"
        self.asked.append(call)
        self.queries.append({name: values[0] for name, values in parse_qs(asked.query).items()})
        if self.faults.get(call):
            return self.faults[call].pop(0)()
        answer = self._answer(method, asked.path, body)
        if self.late_faults.get(call):
            return self.late_faults[call].pop(0)()
        return answer

    def _answer(self, method: str, path: str, body: JSON) -> Answer:
        if path.startswith(JOBS):
            return self._job(method, path.removeprefix(JOBS).lstrip("/"), body)
        if path.startswith(JOB_SETS):
            self.job_sets -= 1
            return (200, {"kind": "JobSet"}) if self.job_sets >= 0 else _not_found()
        lists = {
            "workloads": self.workloads,
            "events": self.events,
            "pods": list(self._turn.pods) if self.jobs else [],
        }
        if (name := path.rpartition("/")[2]) in lists:
            return 200, {"items": lists[name]}
        if method == "PATCH":
            self.labels.update(body["metadata"]["labels"])
            return 200, pod(path.removeprefix(f"{PODS}/"), "Running")
        lines = self.logs[path.removeprefix(f"{PODS}/").removesuffix("/log")].splitlines()
        return 200, "".join(f"{_LOGGED.format(i)} {line}\n" for i, line in enumerate(lines))

    def _job(self, method: str, name: str, body: JSON) -> Answer:
        if method == "POST":
            if body["metadata"]["name"] in self.jobs:
                return refusal(409, "it exists already")()
            self.created.append(body)
            self.put(body)
            return 201, body
        if name not in self.jobs:
            return _not_found()
        found = self.jobs[name]
        if method == "PATCH":
            found["metadata"].update(body["metadata"])
            return 200, found
        if method == "DELETE":
            self.options.append(body)
            self.deleted.append(name)
            del self.jobs[name]
            return 200, {"kind": "Status", "status": "Success"}
        turn = self._turn
        if len(self.turns) > 1:
            self.turns.pop(0)
        conditions = [turn.condition] if turn.condition else []
        status = {"conditions": conditions, "jobsStatus": [{"name": "node"}]}
        return 200, {**found, "status": found.get("status", status)}

    @property
    def _turn(self) -> Turn:
        return self.turns[0]


def _not_found() -> Answer:
    return refusal(404, "not found")()


@contextmanager
def cluster(
    turns: Sequence[Turn] = (Turn(),), logs: dict[str, str] | None = None
) -> Iterator[Cluster]:
    """The server, listening."""
    served = Cluster("", list(turns), logs or {})
    with http_server(lambda method, path, body, _: served.answer(method, path, body)) as served.url:
        yield served
