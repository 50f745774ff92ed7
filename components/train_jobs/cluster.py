"""Kubernetes' API, as far as a TrainJob needs it.

A call that the server can't answer now is made again: after 429 and 5xx, a connection that is reset
or refused, an answer that does not come. SIGTERM is heard in each wait.
"""

import functools
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import urllib3
from kubernetes import client
from kubernetes.client import ApiException

from components.train_jobs.job import GROUP, PLURAL, VERSION, FoundJob, Json
from detector.console import say
from detector.errors import DetsweepError, PreemptedError
from detector.interrupt import asked_to_end
from detector.patience import Patience

R = TypeVar("R")

PODS_OF = "jobset.sigs.k8s.io/jobset-name={name}"
"""The Trainer makes a JobSet of a TrainJob, of the same name."""

ERRORS = (ApiException, urllib3.exceptions.HTTPError, OSError)
"""What the client raises."""

_TIMEOUT_S = (5.0, 15.0)
"""To connect, and for an answer to begin."""
_LAST_TIMEOUT_S = (1.0, 2.0)
"""For what is done when this process was asked to end already."""
_LISTED = 500
_KUEUE_VERSIONS = ("v1beta2", "v1beta1")
_TOO_MANY, _REQUEST_TIMEOUT, _SERVER_ERROR = 429, 408, 500
_OLD_TRAINER = 'unknown field "spec.runtimePatches"'
_NEEDED = "Kubeflow Trainer 2.3 or newer"


class TrainJobError(DetsweepError):
    """A TrainJob could not be created, or did not come to its end."""


def is_outage(error: BaseException) -> bool:
    """Whether the cluster may give another answer later to the same question."""
    if isinstance(error, ApiException):
        return error.status in (0, _REQUEST_TIMEOUT, _TOO_MANY) or error.status >= _SERVER_ERROR
    return isinstance(error, ERRORS)


def is_over_quota(error: ApiException) -> bool:
    """Whether a namespace's quota has no room for the object now."""
    return error.status == 403 and "exceeded quota" in message_of(error)


def message_of(error: BaseException) -> str:
    """What the API says in its answer, or what kept the answer away."""
    if not isinstance(error, ApiException):
        return str(error)
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


class TrainerCluster:
    """The calls that are made for the TrainJobs of one namespace.

    Each raises what the client raises (`ERRORS`), and `PreemptedError` when SIGTERM comes while an
    answer is waited for.

    Args:
        api: reaches the cluster.
        namespace: of the jobs.
    """

    def __init__(self, api: client.ApiClient, namespace: str):
        self.namespace, self.pods_api = namespace, client.CoreV1Api(api)
        self._custom = client.CustomObjectsApi(api)
        self._patience = Patience("the cluster's API", is_outage, cause=message_of)
        self._may_not: set[str] = set()

    def job(self, name: str) -> FoundJob | None:
        """The TrainJob of that name, None where there is none."""
        found = self._or_none(self._custom.get_namespaced_custom_object, *self._jobs, name)
        return None if found is None else FoundJob(found)

    def create(self, manifest: Json) -> None:
        """Create a TrainJob. A field that the server does not know is refused, not dropped."""
        self._ask(
            self._custom.create_namespaced_custom_object,
            *self._jobs,
            manifest,
            field_validation="Strict",
        )

    def set_owner(self, job: FoundJob, owner: Json) -> None:
        """Make `owner` the job's only one; refused (409) if somebody changed the job meanwhile."""
        version = job.metadata["resourceVersion"]
        change = {"metadata": {"resourceVersion": version, "ownerReferences": [dict(owner)]}}
        self._ask(self._custom.patch_namespaced_custom_object, *self._jobs, job.name, change)

    def delete(self, job: FoundJob) -> None:
        """Have a job removed as it was seen, and all that was made of it; refused (409) if somebody
        changed it meanwhile. A dying one changes all the time, and nobody takes it on.

        In the background: in the foreground the Trainer would see the job until the last of its
        pods has gone, and make the pods again.
        """
        version = None if job.is_dying else job.metadata["resourceVersion"]
        seen = client.V1Preconditions(uid=job.metadata["uid"], resource_version=version)
        options = client.V1DeleteOptions(propagation_policy="Background", preconditions=seen)
        self._or_none(
            self._custom.delete_namespaced_custom_object, *self._jobs, job.name, body=options
        )

    def has_job_set(self, name: str) -> bool:
        """Whether the JobSet of a TrainJob is there."""
        where = ("jobset.x-k8s.io", "v1alpha2", self.namespace, "jobsets", name)
        return self._or_none(self._custom.get_namespaced_custom_object, *where) is not None

    def pods(self, name: str) -> list[Any]:
        """The pods of a TrainJob, those that are leaving too."""
        listed = self._ask(
            self.pods_api.list_namespaced_pod,
            self.namespace,
            label_selector=PODS_OF.format(name=name),
        )
        return list(listed.items)

    def warnings(self) -> list[Any]:
        """The namespace's events that warn of something; none where they may not be seen."""
        listed = self._if_allowed(
            "events",
            self.pods_api.list_namespaced_event,
            self.namespace,
            field_selector="type=Warning",
            limit=_LISTED,
        )
        return [] if listed is None else list(listed.items)

    def workloads(self) -> list[Json]:
        """Kueue's view of the namespace's jobs; none where it may not be seen."""
        for version in _KUEUE_VERSIONS:
            listed = self._if_allowed(
                "Kueue's workloads",
                self._custom.list_namespaced_custom_object,
                *("kueue.x-k8s.io", version, self.namespace, "workloads"),
            )
            if listed is not None:
                return list(listed["items"])
        return []

    @property
    def _jobs(self) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self.namespace, PLURAL

    def _if_allowed(
        self, what: str, call: Callable[..., R], *args: object, **kwargs: object
    ) -> R | None:
        """The answer to what only explains a wait; None if it is refused, which is said once."""
        try:
            return self._or_none(call, *args, **kwargs)
        except ApiException as error:
            if what not in self._may_not:
                say(f"{what} can't be shown: {message_of(error)}")
            self._may_not.add(what)
            return None

    def _or_none(self, call: Callable[..., R], *args: object, **kwargs: object) -> R | None:
        """The answer, None for 404."""
        try:
            return self._ask(call, *args, **kwargs)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def _ask(self, call: Callable[..., R], *args: object, **kwargs: object) -> R:
        if asked_to_end():
            # There is one second left, so this is tried once.
            return call(*args, **kwargs, _request_timeout=_LAST_TIMEOUT_S)
        timely = functools.partial(call, *args, **kwargs, _request_timeout=_TIMEOUT_S)
        return self._patience.ask(lambda: _interruptibly(timely))


def _interruptibly(call: Callable[[], R]) -> R:
    """`call`, in a thread beside this one, which hears SIGTERM meanwhile."""
    answer: Future[R] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="a call of the API", daemon=True).start()
    while not wait([answer], timeout=0.1).done:
        if asked_to_end():
            raise PreemptedError("asked to end while waiting for the cluster's API")
    return answer.result()


def explained(error: BaseException, where: str) -> TrainJobError:
    """The error for people, in the API's own words."""
    if not isinstance(error, ApiException):
        problem = f"the cluster does not answer: {error}"
        return TrainJobError(problem, where=where, remedy=_TRAINS_ON)
    said = message_of(error)
    if _OLD_TRAINER in said:
        return TrainJobError(
            "the cluster's Kubeflow Trainer is too old",
            where=where,
            remedy=f"install {_NEEDED}, {_OR_ELSE}",
        )
    return TrainJobError(
        f"the cluster answers {error.status}: {said}", where=where, remedy=_remedy(error, said)
    )


_OR_ELSE = "or submit the run with --folds-on pod, which needs none"
_TRAINS_ON = "started again, the step takes the job on, which trains on by itself"
_APPLY = "`kubectl apply --kustomize k8s/trainer --namespace NAMESPACE`"


def _remedy(error: ApiException, said: str) -> str | None:
    match error.status:
        case 403 if " cannot " in said:
            return f"let the pipeline's service account work with TrainJobs: {_APPLY}"
        case 403 | 422 if (
            "denied" in said and "untime" in said
        ):  # The Trainer's webhook, or Kueue's.
            return f"create the runtime: {_APPLY}"
        case _ if is_outage(error):
            return _TRAINS_ON
        case 404:
            return f"install {_NEEDED}, {_OR_ELSE}"
    return None
