"""A fold on several GPUs: a TrainJob of Kubeflow's Trainer, from its creation to its end.

Here it is created, watched and removed. What its pods do is `detector.steps.fold_process`, and what
they look like is the TrainingRuntime in k8s/trainer.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client import ApiException

from components.this_pod import connect
from detector.console import say
from detector.errors import DetsweepError
from detector.interrupt import Interrupt, catch_sigterm

GROUP, VERSION, PLURAL = "trainer.kubeflow.org", "v1alpha1", "trainjobs"
RUNTIME = "detsweep-fold"
PODS_OF = "jobset.sigs.k8s.io/jobset-name={name}"
"""The Trainer makes a JobSet of a TrainJob, of the same name."""

_POLL_S = 5.0
_PATIENCE_S = 600.0
_DEADLINE_S = 7 * 24 * 3600
"""A job that nobody watches any more ends by then."""

_KEPT_LINES = 20
"""Of the log before a restart that are told again."""


class TrainJobError(DetsweepError):
    """A TrainJob could not be created, or did not come to its end."""


@dataclass(frozen=True)
class FoldJob:
    """What is to be trained.

    Attributes:
        store_url, sweep_id, fold: as of `detector.steps.fold.train_fold`.
        gpus: on one node.
        image: of the pods.
        gpu_type: the resource that is asked for.
    """

    store_url: str
    sweep_id: str
    fold: int
    gpus: int
    image: str
    gpu_type: str = "nvidia.com/gpu"

    @property
    def name(self) -> str:
        """The same for the same training, by which it is found again after a restart."""
        run = hashlib.sha256(f"{self.store_url} {self.sweep_id}".encode()).hexdigest()[:10]
        return f"detsweep-{run}-fold-{self.fold}"

    def manifest(self) -> dict[str, Any]:
        """The TrainJob."""
        gpus = {self.gpu_type: str(self.gpus)}
        arguments = [self.store_url, self.sweep_id, str(self.fold)]
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "TrainJob",
            "metadata": {
                "name": self.name,
                "labels": {
                    "app.kubernetes.io/name": "detsweep",
                    "detsweep.io/step": "fold",
                },
            },
            "spec": {
                "runtimeRef": {"apiGroup": GROUP, "kind": "TrainingRuntime", "name": RUNTIME},
                "activeDeadlineSeconds": _DEADLINE_S,
                "trainer": {
                    "image": self.image,
                    "command": ["torchrun", "-m", "detector.steps.fold_process"],
                    "args": arguments,
                    "numNodes": 1,
                    "numProcPerNode": self.gpus,
                    "resourcesPerNode": {"requests": gpus, "limits": gpus},
                },
            },
        }


class TrainJobs:
    """The TrainJobs of one namespace.

    Args:
        api: reaches the cluster.
        namespace: of the jobs.
        write: takes what is told of them, line by line.
        poll_s: seconds between two looks at a job.
    """

    def __init__(
        self,
        api: client.ApiClient,
        namespace: str,
        write: Callable[[str], None] = say,
        poll_s: float = _POLL_S,
    ):
        self._jobs, self._pods = client.CustomObjectsApi(api), client.CoreV1Api(api)
        self._namespace, self._write, self._poll_s = namespace, write, poll_s

    @classmethod
    def of_this_pod(cls) -> "TrainJobs":
        """Those of the namespace that this pod runs in, by its service account.

        Raises:
            TrainJobError: this is no pod, or it has no token.
        """
        try:
            return cls(*connect())
        except config.ConfigException as error:
            raise TrainJobError(
                f"no cluster to train on: {error}",
                remedy="gpus_per_fold above 1 needs Kubeflow; `detsweep run` trains a fold on one",
            ) from error

    def run(self, job: FoldJob) -> None:
        """Train to the end, and remove the job then, also if this process is told to end.

        A job that another process began and no longer watches is taken on.

        Raises:
            TrainJobError: it failed, and why; or SIGTERM came.
        """
        with catch_sigterm() as interrupt:
            try:
                taken_on = self._start(job)
            except (ApiException, urllib3.exceptions.HTTPError) as error:
                raise _explain(error, f"TrainJob {job.name}") from error
            try:
                self._watch(job, interrupt, _KEPT_LINES if taken_on else None)
            finally:
                self._remove(job.name)

    def _start(self, job: FoldJob) -> bool:
        """Whether the job is there already; it is created if not, or if one of old is over."""
        found = self._get(job.name)
        if found is not None:
            if _ending(found) is None:
                self._write(f"TrainJob {job.name} is running: taken on")
                return True
            self._remove(job.name)
            while self._get(job.name) is not None:
                time.sleep(self._poll_s)
        self._jobs.create_namespaced_custom_object(
            GROUP, VERSION, self._namespace, PLURAL, job.manifest()
        )
        self._write(f"TrainJob {job.name} created: fold {job.fold} on {job.gpus} GPUs")
        return False

    def _watch(self, job: FoldJob, interrupt: Interrupt, tail: int | None) -> None:
        heard = _Logs(self._pods, self._namespace, self._write, tail)
        told: set[str] = set()
        lost_at: float | None = None
        while True:
            if interrupt.requested:
                raise TrainJobError(
                    f"told to end before TrainJob {job.name} was done",
                    remedy="run it again: the fold continues from its last finished epoch",
                )
            try:
                state = self._get(job.name)
                pods = self._pods.list_namespaced_pod(
                    self._namespace, label_selector=PODS_OF.format(name=job.name)
                ).items
                lost_at = None
            except (ApiException, urllib3.exceptions.HTTPError) as error:
                lost_at = lost_at or time.monotonic()
                refused = isinstance(error, ApiException) and 400 <= error.status < 500
                if refused or time.monotonic() - lost_at > _PATIENCE_S:
                    raise _explain(error, f"TrainJob {job.name}") from error
                time.sleep(self._poll_s)
                continue
            if state is None:
                raise TrainJobError(f"TrainJob {job.name} was deleted before it was done")
            heard.follow(pods)
            for line in _troubles(pods):
                if line not in told:
                    told.add(line)
                    self._write(line)
            if (ending := _ending(state)) is not None:
                heard.join()
                return self._judge(job, ending, pods)
            time.sleep(self._poll_s)

    def _judge(self, job: FoldJob, ending: Mapping[str, Any], pods: Iterable[Any]) -> None:
        if ending["type"] == "Complete":
            self._write(f"TrainJob {job.name} is done")
            return
        reasons = list(_troubles(pods)) or [ending.get("reason", "no reason given")]
        raise TrainJobError(
            f"TrainJob {job.name} failed: {ending.get('message') or ending.get('reason')}",
            where="; ".join(reasons),
            remedy="its pods' lines say why; run it again: the fold continues from its last "
            "finished epoch",
        )

    def _get(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._jobs.get_namespaced_custom_object(
                GROUP, VERSION, self._namespace, PLURAL, name
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return found

    def _remove(self, name: str) -> None:
        try:
            self._jobs.delete_namespaced_custom_object(
                GROUP, VERSION, self._namespace, PLURAL, name, propagation_policy="Foreground"
            )
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            if getattr(error, "status", None) != 404:
                self._write(f"TrainJob {name} could not be removed: {error}")


class _Logs:
    """The lines of each pod, told as they come."""

    def __init__(
        self,
        pods: client.CoreV1Api,
        namespace: str,
        write: Callable[[str], None],
        tail: int | None,
    ):
        self._pods, self._namespace, self._write, self._tail = pods, namespace, write, tail
        self._threads: dict[str, threading.Thread] = {}

    def follow(self, pods: Iterable[Any]) -> None:
        """Begin to listen to those pods that have started and were not heard yet."""
        for pod in pods:
            name = pod.metadata.name
            if name in self._threads or pod.status.phase == "Pending":
                continue
            # A thread for each, as reading a log waits; none of them keeps the process alive.
            thread = threading.Thread(target=self._tell, args=(name,), daemon=True)
            self._threads[name] = thread
            thread.start()

    def join(self) -> None:
        """Wait until the last lines are told."""
        for thread in self._threads.values():
            thread.join(_POLL_S)

    def _tell(self, pod: str) -> None:
        more = {} if self._tail is None else {"tail_lines": self._tail}
        try:
            answer = self._pods.read_namespaced_pod_log(
                pod, self._namespace, follow=True, _preload_content=False, **more
            )
            for line in _lines(answer.stream()):
                self._write(f"{pod} │ {line}")
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            self._write(f"{pod} │ the log broke off: {getattr(error, 'reason', error)}")


def _lines(chunks: Iterable[bytes]) -> Iterable[str]:
    """
    >>> list(_lines([b"epo", b"ch 1\\nepoch", b" 2\\n", b"rest"]))
    ['epoch 1', 'epoch 2', 'rest']
    """
    begun = b""
    for chunk in chunks:
        *whole, begun = (begun + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if begun:
        yield begun.decode(errors="replace")


def _ending(state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The condition that ended a TrainJob, None while it has not ended."""
    for condition in state.get("status", {}).get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            ended: Mapping[str, Any] = condition
            return ended
    return None


def _troubles(pods: Iterable[Any]) -> Iterable[str]:
    """Why pods wait, or how they ended if not well."""
    for pod in pods:
        name, status = pod.metadata.name, pod.status
        for condition in status.conditions or []:
            if condition.type == "PodScheduled" and condition.status == "False":
                yield f"{name} waits: {condition.message}"
        for container in status.container_statuses or []:
            for state in (container.state, container.last_state):
                ended = state and state.terminated
                if ended and ended.exit_code != 0:
                    yield f"{name} ended: {ended.reason} (exit code {ended.exit_code})"
                waiting = state and state.waiting
                if waiting and "Err" in (waiting.reason or ""):
                    yield f"{name} waits: {waiting.reason}: {waiting.message}"


def _explain(error: Exception, where: str) -> TrainJobError:
    if not isinstance(error, ApiException):
        return TrainJobError(f"the cluster does not answer: {error}", where=where)
    remedies = {
        403: "let the pipeline's service account work with TrainJobs: "
        "`kubectl apply --kustomize k8s/trainer --namespace NAMESPACE`",
        404: "install Kubeflow Trainer, whose TrainJob (trainer.kubeflow.org/v1alpha1) this is",
    }
    return TrainJobError(
        f"the cluster answers {error.status}: {error.reason}",
        where=where,
        remedy=remedies.get(error.status),
    )
