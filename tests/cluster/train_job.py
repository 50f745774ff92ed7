"""What the tests of TrainJobs share: a fold's step in a thread, and its pod."""

import json
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from components.resources import Resources
from components.train_jobs import FoldJob, FoldPods, TrainJobs
from tests.cluster.cluster import Namespace, eventually

TRAINER = Path(__file__).parents[2] / "k8s" / "trainer"
ACCOUNT = "pipeline-runner"
STRICT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "fsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SMALL = Resources("50m", "2", "512Mi", "2Gi")
NOWHERE = {"detsweep.io/no": "node"}
PODS = FoldPods("registry.k8s.io/pause:3.10", 2, SMALL, "64Mi", gpu="", node_selector=NOWHERE)
"""They stay pending: a test writes what becomes of them."""


def runtime() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((TRAINER / "runtime.yaml").read_text(encoding="utf-8"))
    return found


def pod_of_runtime(manifest: Mapping[str, Any]) -> dict[str, Any]:
    (job,) = manifest["spec"]["template"]["spec"]["replicatedJobs"]
    found: dict[str, Any] = job["template"]["spec"]["template"]["spec"]
    return found


def install(namespace: Namespace, manifest: Mapping[str, Any] | None = None) -> None:
    """Apply k8s/trainer, as the docs say, and the runtime of a test where it has one."""
    namespace.kubectl("apply", f"--kustomize={TRAINER}")
    if manifest is not None:
        namespace.apply(manifest)


def fold_job(pods: FoldPods = PODS, fold: int = 1, store: str = "/data/run") -> FoldJob:
    return FoldJob(store, "abc", fold, pods)


def as_step(namespace: Namespace) -> kubernetes.client.ApiClient:
    """The API as the service account of the pipeline's pods sees it, with its rights alone."""
    api = kubernetes.config.new_client_from_config()
    user = f"system:serviceaccount:{namespace.name}:{ACCOUNT}"
    api.set_default_header("Impersonate-User", user)
    return api


@dataclass
class Step:
    """A fold's step: its pod in the cluster, which never starts, and its work in a thread.

    Attributes:
        owner: the pod, as the owner of the TrainJob.
        lines: what the step has said.
    """

    namespace: Namespace
    job: FoldJob
    lines: list[str] = field(default_factory=list)
    owner: dict[str, str] = field(default_factory=dict)
    ended: "Future[None]" = field(default_factory=Future)

    def start(self) -> "Step":
        name = f"step-{uuid.uuid4().hex[:6]}"
        container = {"name": "main", "image": "none", "securityContext": STRICT}
        spec = {
            "containers": [container],
            "securityContext": POD_SECURITY,
            "nodeSelector": NOWHERE,
        }
        self.namespace.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        )
        uid = self.namespace.get("pod", name)["metadata"]["uid"]
        self.owner = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
        threading.Thread(target=self._work, daemon=True).start()
        return self

    def _work(self) -> None:
        api = as_step(self.namespace)
        jobs = TrainJobs(api, self.namespace.name, self.owner, self.lines.append, poll_s=0.2)
        try:
            jobs.run(self.job)
            self.ended.set_result(None)
        except BaseException as error:
            self.ended.set_exception(error)

    def says(self, text: str, patience: float = 120) -> str:
        """The first line with `text` in it, the error that it ended with being the last one; where
        there is none, the test shows what was said."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            ended = self.ended.done()
            error = [str(self.ended.exception())] if ended else []
            for line in [*self.lines, *error]:
                if text in line:
                    return line
            if ended:
                break
            time.sleep(0.2)
        pytest.fail(f"no line with {text!r}:\n" + "\n".join([*self.lines, *error]))

    def die(self) -> None:
        """As the pod's deletion would end it, without a chance to remove anything."""
        self.namespace.kubectl(
            "delete", "pod", self.owner["name"], "--grace-period=0", "--force", "--wait=false"
        )

    # What is there of the job.

    @property
    def is_there(self) -> bool:
        words = ("get", "trainjob", self.job.name, "--ignore-not-found")
        return bool(self.namespace.kubectl(*words))

    def pods(self) -> list[dict[str, Any]]:
        return self.namespace.pods(f"jobset.sigs.k8s.io/jobset-name={self.job.name}")

    def new_pod(self, *but: str) -> str:
        """The name of a pod of the job, other than those."""
        names = eventually(
            lambda: [
                pod["metadata"]["name"]
                for pod in self.pods()
                if pod["metadata"]["name"] not in but and "deletionTimestamp" not in pod["metadata"]
            ],
            "a new pod of the TrainJob",
        )
        return str(names[0])

    def restarts(self) -> int:
        found = self.namespace.get("jobset", self.job.name)["status"]
        return int(found.get("restarts", 0))


def needs_controllers(step: Step) -> None:
    """Skips the test where the CRDs are there and their controllers are not."""
    try:
        eventually(step.pods, "a pod of the TrainJob", patience=30)
    except pytest.fail.Exception:
        pytest.skip("no controllers of Kubeflow Trainer and JobSet run")


def suspend(step: Step, whether: bool) -> None:
    """End a job's pods as Kueue does when it takes their place away, or let them start again."""
    patch = json.dumps({"spec": {"suspend": whether}})
    step.namespace.kubectl("patch", "trainjob", step.job.name, "--type=merge", f"--patch={patch}")
