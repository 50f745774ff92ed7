"""Why a TrainJob waits and how its pods ended, a line each, in the cluster's own words."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from components.train_jobs.job import FoundJob, Json
from detector.console import PREEMPTED_EXIT_CODE

NEVER_RUNS = "InvalidImageName"
"""What a container waits for that will not change by itself."""

_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
_SEEN_IN_PODS = frozenset({"FailedScheduling", "Failed", "BackOff", "InspectFailed", "Unhealthy"})
"""Events whose message stands in the pod's status too."""


def waits_of_pods(pods: Iterable[Any]) -> Iterator[str]:
    """Why pods do not run, or will not for long."""
    for pod in pods:
        name, status = pod.metadata.name, pod.status
        for condition in status.conditions or []:
            if condition.type == "PodScheduled" and condition.status == "False":
                yield f"{name} waits: {condition.reason}: {condition.message}"
            if _is_taken_away(condition):
                yield f"{name} is taken away: {condition.reason}: {condition.message}"
        for reason, message in _waiting(pod):
            yield f"{name} waits: {reason}: {message}"


def never_runs(pods: Iterable[Any]) -> bool:
    """Whether a pod waits for what will not change by itself."""
    return any(reason == NEVER_RUNS for pod in pods for reason, _ in _waiting(pod))


def ends_of_pods(pods: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """The name of each pod that ended badly, and how. One that was taken away, or asked to end, did
    not: it is replaced."""
    for pod in pods:
        if any(_is_taken_away(condition) for condition in pod.status.conditions or []):
            continue
        if pod.status.phase == "Failed" and pod.status.reason:
            yield pod.metadata.name, f"{pod.status.reason}: {pod.status.message or ''}"
        for container in _containers(pod):
            ended = container.state and container.state.terminated
            if ended and ended.exit_code not in (0, PREEMPTED_EXIT_CODE):
                yield pod.metadata.name, f"{ended.reason} (exit code {ended.exit_code})"


def waits_of_job(job: FoundJob, workloads: Iterable[Json]) -> Iterator[str]:
    """Why nothing is made of a TrainJob yet."""
    if job.condition("Suspended") is None:
        return
    yield f"TrainJob {job.name} is suspended"
    for workload in workloads:
        if any(owner["uid"] == job.metadata["uid"] for owner in _owners(workload)):
            for condition in workload.get("status", {}).get("conditions", []):
                if condition["type"] == "QuotaReserved" and condition["status"] == "False":
                    yield f"TrainJob {job.name} waits in Kueue's queue: {condition['message']}"


def warnings_about(job: FoundJob, events: Iterable[Any]) -> Iterator[str]:
    """What the cluster has said of a TrainJob and of all that is made of it."""
    for event in events:
        about = event.involved_object
        if about.name != job.name and not about.name.startswith(f"{job.name}-"):
            continue
        if about.kind == "Pod" and event.reason in _SEEN_IN_PODS:
            continue
        if event.last_timestamp is not None and _before(event.last_timestamp, job):
            continue
        # A Job that may not make a pod tries it with another name each time.
        message = re.sub(r'pods "[^"]*"', "its pod", event.message or "")
        yield f"{about.kind} {about.name}: {event.reason}: {message}"


def _before(time: Any, job: FoundJob) -> bool:
    created: str = job.metadata.get("creationTimestamp", "")
    moment: str = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment < created


def _is_taken_away(condition: Any) -> bool:
    return bool(condition.type == "DisruptionTarget" and condition.status == "True")


def _containers(pod: Any) -> list[Any]:
    return [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]


def _waiting(pod: Any) -> Iterator[tuple[str, str]]:
    for container in _containers(pod):
        waiting = container.state and container.state.waiting
        if waiting and waiting.reason and waiting.reason not in _STARTING:
            yield waiting.reason, waiting.message or ""


def _owners(workload: Json) -> list[Json]:
    owners: list[Json] = workload["metadata"].get("ownerReferences", [])
    return owners
