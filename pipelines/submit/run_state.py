"""How far a run is: the pipeline's own steps, found among the nodes of Kubeflow's engine.

Around each step the engine has a driver, an executor, and a node for each of their attempts; a loop
has as many again. Here a step is one thing, with the pods that worked on it.
"""

import base64
import gzip
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SUCCEEDED = frozenset({"SUCCEEDED", "SKIPPED"})
ENDED = SUCCEEDED | {"FAILED", "CANCELED", "ERROR"}

_EXECUTOR = "executor"
_ATTEMPT = re.compile(r"\(\d+\)$")
_ITERATION = re.compile(r"\((\d+):")
_LOST = frozenset({"FAILED", "ERROR"})


@dataclass(frozen=True)
class Pod:
    """A pod of a step.

    Attributes:
        name: as Kubernetes knows it.
        state: PENDING, RUNNING, SUCCEEDED, FAILED or ERROR.
        reason: why it waits, or how it ended: "OOMKilled (exit code 137)". May be empty.
    """

    name: str
    state: str
    reason: str

    @property
    def is_lost(self) -> bool:
        """Whether its pod is gone, and nothing of the step failed."""
        return self.state in _LOST


@dataclass(frozen=True)
class Step:
    """A step of the pipeline; of a loop's step, one iteration.

    Attributes:
        name: for people: "prepare", "agent 1", "fold 2".
        state: as of `Pod`, of the step as a whole.
        pods: the last is the one that works on it, or did; the others were lost.
    """

    name: str
    state: str
    pods: tuple[Pod, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether it ended well."""
        return self.state in SUCCEEDED


@dataclass(frozen=True)
class RunState:
    """A run and its steps.

    Attributes:
        state: PENDING, RUNNING, SUCCEEDED, FAILED, CANCELED, ….
        error: Kubeflow's own words, which are few.
        steps: those that have begun, in the order of their beginning.
        namespace: of its pods, None where that is not known.
        was_terminated: whether a person has ended it.
        ended_at: when, as the API writes it; another once it has been tried again.
        parameters: what it was started with.
    """

    run_id: str
    state: str
    error: str = ""
    steps: tuple[Step, ...] = ()
    namespace: str | None = None
    was_terminated: bool = False
    ended_at: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Mapping[str, Any], workflow: Mapping[str, Any]) -> "RunState":
        """From what the API says of a run, and the workflow behind it; `{}` where that can't be
        had: a step is then its name alone, once for all iterations."""
        state = run.get("state") or "PENDING"
        nodes = _nodes(workflow)
        spec = workflow.get("spec") or {}
        return cls(
            run_id=str(run.get("run_id") or ""),
            state=state,
            error=str((run.get("error") or {}).get("message") or ""),
            steps=tuple(_steps(workflow, nodes) if nodes else _steps_of_tasks(run)),
            namespace=(workflow.get("metadata") or {}).get("namespace"),
            # Kubeflow ends a workflow by giving it no time.
            was_terminated=state in ("CANCELING", "CANCELED")
            or spec.get("activeDeadlineSeconds") == 0,
            ended_at=str(run.get("finished_at") or ""),
            parameters=(run.get("runtime_config") or {}).get("parameters") or {},
        )

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen in it."""
        return self.state in ENDED

    @property
    def has_succeeded(self) -> bool:
        """Whether it came to its end."""
        return self.state in SUCCEEDED

    @property
    def failed_steps(self) -> list[Step]:
        """The steps that failed, in their order."""
        return [step for step in self.steps if step.state in _LOST]


def _nodes(workflow: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = workflow.get("status") or {}
    nodes: Mapping[str, Mapping[str, Any]] = status.get("nodes") or {}
    if not nodes and status.get("compressedNodes"):  # Of a large workflow.
        nodes = json.loads(gzip.decompress(base64.b64decode(status["compressedNodes"])))
    return list(nodes.values())


def _steps(workflow: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]]) -> Iterable[Step]:
    by_path = _by_path(nodes)
    for path, attempts in by_path.items():
        *around, last = path
        is_step = last == _EXECUTOR and around
        pods = sorted((n for n in attempts if n["type"] == "Pod"), key=_attempt)
        if not pods or not (is_step or _has_failed_driver(last, pods)):
            continue
        whole = by_path.get(tuple(around), attempts) if is_step else attempts
        yield Step(
            _name(around[-1] if is_step else last, path, pods[-1]),
            _state(min(whole, key=lambda node: len(node["name"]))),
            tuple(
                Pod(_pod_name(workflow, pod), _state(pod), pod.get("message") or "") for pod in pods
            ),
        )


def _has_failed_driver(name: str, pods: list[Mapping[str, Any]]) -> bool:
    """A driver is the engine's own matter, until it fails and its step never begins."""
    return name.endswith("-driver") and all(_state(pod) in _LOST for pod in pods)


def _by_path(
    nodes: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    """The nodes by where they are in the pipeline, all attempts at one place together; in the order
    in which places were reached."""
    by_path: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for node in sorted(nodes, key=lambda node: (node.get("startedAt") or "~", node["name"])):
        path = tuple(_ATTEMPT.sub("", part) for part in node["name"].split("."))
        by_path.setdefault(path, []).append(node)
    return by_path


def _attempt(node: Mapping[str, Any]) -> tuple[int, str]:
    """For sorting: executor(2) before executor(10)."""
    return len(node["name"]), node["name"]


def _state(node: Mapping[str, Any]) -> str:
    return str(node.get("phase") or "PENDING").upper()


def _name(step: str, path: Iterable[str], pod: Mapping[str, Any]) -> str:
    iteration = next((found[1] for part in path if (found := _ITERATION.search(part))), None)
    if iteration is None:
        return step
    index = _index(pod)
    return f"{step} {iteration if index is None else index}"


def _index(pod: Mapping[str, Any]) -> int | None:
    """The number that a loop's step was given: an agent's from 1, a fold's from 0. None where the
    engine does not say."""
    parameters = (pod.get("inputs") or {}).get("parameters") or []
    patch = next((p.get("value") for p in parameters if p["name"] == "pod-spec-patch"), None)
    try:
        words = json.loads(patch or "")["containers"][0]["command"]
        given = json.loads(words[words.index("--executor_input") + 1])
        return int(given["inputs"]["parameterValues"]["index"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _pod_name(workflow: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    metadata = workflow.get("metadata") or {}
    if (metadata.get("annotations") or {}).get("workflows.argoproj.io/pod-name-format") == "v1":
        return str(node["id"])
    number = node["id"].rpartition("-")[2]
    return f"{metadata['name']}-{node['templateName']}-{number}"


def _steps_of_tasks(run: Mapping[str, Any]) -> Iterable[Step]:
    """The steps by the API's task details, in which all iterations of a loop look alike."""
    tasks = (run.get("run_details") or {}).get("task_details") or []
    names = {str(task.get("display_name") or "") for task in tasks}
    states: dict[str, list[str]] = {}
    for task in tasks:
        name = str(task.get("display_name") or "")
        # A step has a driver; so have the pipeline as a whole and a loop's parts.
        if f"{name}-driver" in names and not name.startswith(("root", "iteration", "for-loop")):
            states.setdefault(name, []).append(str(task.get("state") or "PENDING"))
    for name, found in states.items():
        yield Step(name, _together(found))


def _together(states: Iterable[str]) -> str:
    """
    >>> _together(["SUCCEEDED", "RUNNING"]), _together(["SUCCEEDED", "FAILED"])
    ('RUNNING', 'FAILED')
    """
    order = ["RUNNING", "PENDING", "ERROR", "FAILED", "CANCELED", "SKIPPED", "SUCCEEDED"]
    known = [state for state in order if state in set(states)]
    return known[0] if known else "PENDING"
