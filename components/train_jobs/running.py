"""A TrainJob from its creation to its end."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kubernetes import client, config
from kubernetes.client import ApiException

from components.this_pod import connect, owner_reference
from components.train_jobs.cluster import (
    ERRORS,
    TrainerCluster,
    TrainJobError,
    explained,
    is_outage,
    is_over_quota,
    message_of,
)
from components.train_jobs.job import FoldJob, FoundJob, Json
from components.train_jobs.logs import Logs
from components.train_jobs.waits import (
    ends_of_pods,
    never_runs,
    waits_of_job,
    waits_of_pods,
    warnings_about,
)
from detector.console import say
from detector.errors import PreemptedError
from detector.interrupt import catch_sigterm
from detector.patience import pause

_POLL_S = 5.0
_UNTOUCHED_S = 30.0
"""A controller takes a new TrainJob up within a second."""
_KEPT_LINES = 20
"""Of the log before a restart that are written again."""
_MORE_MEMORY = (
    "memory ran out: submit the run with more --memory, or lower data.num_workers or "
    "data.batch_size"
)
_CONFLICTS = 5
_CONFLICT = 409


class TrainJobs:
    """The TrainJobs of one namespace.

    Args:
        api: reaches the cluster.
        namespace: of the jobs.
        owner: the pod of this step, with which a job is deleted; None outside of a pod.
        write: takes what is said of them, line by line.
        poll_s: seconds between two looks at a job.
    """

    def __init__(
        self,
        api: client.ApiClient,
        namespace: str,
        owner: Json | None = None,
        write: Callable[[str], None] = say,
        poll_s: float = _POLL_S,
    ):
        self._cluster = TrainerCluster(api, namespace)
        self._owner, self._write, self._poll_s = owner, write, poll_s

    @classmethod
    def of_this_pod(cls) -> "TrainJobs":
        """Those of the namespace that this pod runs in, by its service account.

        Raises:
            TrainJobError: this is no pod, or it has no token.
        """
        try:
            return cls(*connect(), owner_reference())
        except config.ConfigException as error:
            raise TrainJobError(
                f"no cluster to train on: {error}",
                remedy="gpus_per_fold above 1 needs Kubeflow; `detsweep run` trains a fold on one",
            ) from error

    def run(self, job: FoldJob) -> None:
        """Train to the end, and remove the job then, also if this process is asked to end.

        A job for the same work that another step began and no longer watches is taken on.

        Raises:
            TrainJobError: it failed, and why.
            PreemptedError: SIGTERM came.
        """
        with catch_sigterm():
            _Running(self._cluster, self._owner, self._write, self._poll_s, job).to_its_end()


class _Running:
    """One TrainJob, while a step works on it."""

    def __init__(
        self,
        cluster: TrainerCluster,
        owner: Json | None,
        write: Callable[[str], None],
        poll_s: float,
        job: FoldJob,
    ):
        self._cluster, self._owner, self._write, self._poll_s = cluster, owner, write, poll_s
        self._job = job
        self._said: set[str] = set()
        self._ends: dict[str, str] = {}
        self._may_exist = False

    def to_its_end(self) -> None:
        try:
            taken_on = self._start()
            self._watch(taken_on)
        except ERRORS as error:
            # Where the cluster does not answer, the job trains on, and the next step takes it on.
            self._may_exist = self._may_exist and not is_outage(error)
            raise explained(error, self._title) from error
        finally:
            if self._may_exist:
                self._remove()

    @property
    def _title(self) -> str:
        return f"TrainJob {self._job.name}"

    # From nothing, or from what is there, to a job for this work.

    def _start(self) -> bool:
        """Whether a job for the same work was there, and is taken on."""
        while True:
            found = self._cluster.job(self._job.name)
            if found is None:
                if self._nothing_is_left() and self._create():
                    return False
            elif self._is_for_this_work(found):
                if self._take_on(found):
                    return True
            else:
                # Also where somebody has it deleted in the foreground, which may never end.
                self._delete(found)
            self._pause()

    def _is_for_this_work(self, found: FoundJob) -> bool:
        if found.is_dying:
            self._say(f"{self._title} is being deleted: its end is waited for")
        elif found.has_ended:
            self._say(f"{self._title} of before has ended: it is made again")
        elif found.work != self._job.work:
            self._say(f"{self._title} of before had other settings: it is made again")
        else:
            return True
        return False

    def _nothing_is_left(self) -> bool:
        """Whether an earlier job's pods are gone. The Trainer would take its JobSet, and the state
        of it, for the new job's."""
        name = self._job.name
        if not self._cluster.has_job_set(name) and not self._cluster.pods(name):
            return True
        self._say(f"{self._title} waits until the pods of an earlier one are gone")
        return False

    def _create(self) -> bool:
        self._may_exist = True
        try:
            self._cluster.create(self._job.manifest(self._owner))
        except ApiException as error:
            if error.status == _CONFLICT:  # Perhaps ours, whose answer was lost.
                return False
            self._may_exist = False
            if not is_over_quota(error):
                raise
            self._say(f"{self._title} waits: {message_of(error)}")
            return False
        self._write(f"{self._title} created: fold {self._job.fold} on {self._job.pods}")
        return True

    def _take_on(self, found: FoundJob) -> bool:
        if self._owner is not None and found.owner_uid != self._owner["uid"]:
            try:
                self._cluster.set_owner(found, self._owner)
            except ApiException as error:
                if error.status in (404, _CONFLICT):
                    return False
                raise
        self._may_exist = True
        self._write(f"{self._title} is there: taken on")
        return True

    # Until it ends.

    def _watch(self, taken_on: bool) -> None:
        cluster, name = self._cluster, self._job.name
        tail = _KEPT_LINES if taken_on else None
        logs = Logs(cluster.pods_api, cluster.namespace, self._write, tail)
        untouched_until = time.monotonic() + _UNTOUCHED_S
        while True:
            found, pods = cluster.job(name), cluster.pods(name)
            logs.follow(pods)
            if found is None or found.is_dying:
                raise TrainJobError(
                    f"{self._title} was deleted before it was done",
                    remedy="started again, the fold continues from its last finished epoch",
                )
            for line in self._reasons(found, pods):
                self._say(line)
            if never_runs(pods):
                raise TrainJobError(
                    f"its image has no valid name: {self._job.pods.image!r}",
                    remedy="give the run's parameter `image` as your registry has it",
                )
            if not found.is_taken_up and time.monotonic() > untouched_until:
                self._say(
                    f"{self._title} waits: no controller has taken it up. Do those of Kubeflow "
                    "Trainer and JobSet run?"
                )
            if found.has_ended:
                logs.join()
                return self._judge(found)
            self._pause()

    def _reasons(self, found: FoundJob, pods: Iterable[Any]) -> Iterator[str]:
        pods = list(pods)
        for name, how in ends_of_pods(pods):
            self._ends[name] = how
            yield f"{name} ended: {how}"
        yield from waits_of_pods(pods)
        running = sum(pod.status.phase == "Running" for pod in pods)
        if running < self._job.pods.nodes:
            workloads = self._cluster.workloads() if self._job.pods.queue else []
            yield from waits_of_job(found, workloads)
            yield from warnings_about(found, self._cluster.warnings())

    def _judge(self, found: FoundJob) -> None:
        failed = found.condition("Failed")
        if failed is None:
            self._write(f"{self._title} is done")
            return
        why = f"{failed.get('reason')}: {failed.get('message')}"
        how = "; ".join(
            f"{how}, {count} times" if count > 1 else how
            for how, count in Counter(self._ends.values()).items()
        )
        remedy = _MORE_MEMORY if "OOMKilled" in how else "its pods' lines say why"
        raise TrainJobError(
            f"{self._title} failed: {how or why}",
            where=why if how else None,
            remedy=f"{remedy}. Started again, the fold continues from its last finished epoch",
        )

    # To nothing.

    def _remove(self) -> None:
        """Delete the job, unless another step has taken it on."""
        try:
            for _ in range(_CONFLICTS):
                found = self._cluster.job(self._job.name)
                if found is None or not self._is_ours(found) or self._delete(found):
                    return
        except (*ERRORS, PreemptedError) as error:
            self._write(f"{self._title} could not be removed: {message_of(error)}")

    def _is_ours(self, found: FoundJob) -> bool:
        return self._owner is None or found.owner_uid in (None, self._owner["uid"])

    def _delete(self, found: FoundJob) -> bool:
        """Whether it is; somebody may have changed it meanwhile."""
        try:
            self._cluster.delete(found)
        except ApiException as error:
            if error.status == _CONFLICT:
                return False
            raise
        return True

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._write(line)

    def _pause(self) -> None:
        pause(self._poll_s, self._title)
