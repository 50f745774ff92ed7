"""The TrainJob of a fold, as it is created and as it is found again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.resources import QUEUE, THREADS, Resources, multiple

Json = Mapping[str, Any]

GROUP, VERSION, PLURAL = "trainer.kubeflow.org", "v1alpha1", "trainjobs"
RUNTIME, REPLICATED_JOB = "detsweep-fold", "node"
"""Of k8s/trainer/runtime.yaml."""
WORK = "detsweep.io/work"
"""The annotation that says what a TrainJob was made for: it is taken on for the same alone."""

_DEADLINE_S = 7 * 24 * 3600
"""A job that nobody watches any more ends by then."""


@dataclass(frozen=True)
class FoldPods:
    """What a fold is trained by: a pod on each of `nodes`, with `gpus` processes each.

    Attributes:
        image: of the pods.
        gpus: processes of a pod, each of them with a GPU.
        resources, shared_memory: of each process; the second is a part of /dev/shm.
        nodes: how many pods.
        gpu: the resource that is asked for; empty where there are no GPUs.
        node_selector, tolerations, node_affinity: which nodes, as Kubernetes writes it.
        pull_secrets: Secrets that open the image's registry.
        queue: Kueue's local queue; empty for none.
    """

    image: str
    gpus: int
    resources: Resources
    shared_memory: str
    nodes: int = 1
    gpu: str = "nvidia.com/gpu"
    node_selector: Json = field(default_factory=dict)
    tolerations: Sequence[Json] = ()
    node_affinity: Json = field(default_factory=dict)
    pull_secrets: Sequence[str] = ()
    queue: str = ""

    def __str__(self) -> str:
        """
        >>> one = Resources("4", "8", "24Gi", "32Gi")
        >>> str(FoldPods("i", 4, one, "8Gi")), str(FoldPods("i", 2, one, "8Gi", nodes=3, gpu=""))
        ('4 GPUs', '3 nodes with 2 processes each')
        """
        what = f"{self.gpus} {'GPUs' if self.gpu else 'processes'}"
        return what if self.nodes == 1 else f"{self.nodes} nodes with {what} each"

    def resources_per_node(self) -> dict[str, dict[str, str]]:
        """What a pod asks for, and what it is limited to."""
        together = self.resources.times(self.gpus)
        gpus = {self.gpu: str(self.gpus)} if self.gpu else {}
        return {
            "requests": {"cpu": together.cpu, "memory": together.memory, **gpus},
            "limits": {"cpu": together.cpu_limit, "memory": together.memory_limit, **gpus},
        }

    def runtime_patch(self) -> dict[str, Any]:
        """How the pods differ from those of the runtime."""
        size = multiple(self.gpus, self.shared_memory)
        shared = {"medium": "Memory", "sizeLimit": size}
        pod = {
            "nodeSelector": dict(self.node_selector),
            "tolerations": list(self.tolerations),
            "affinity": {"nodeAffinity": self.node_affinity} if self.node_affinity else {},
            "imagePullSecrets": [{"name": name} for name in self.pull_secrets],
            "volumes": [{"name": "shared-memory", "emptyDir": shared}],
        }
        given = {key: value for key, value in pod.items() if value}
        job = {"name": REPLICATED_JOB, "template": {"spec": {"template": {"spec": given}}}}
        return {
            "manager": "detsweep.io/fold",
            "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job]}}},
        }


@dataclass(frozen=True)
class FoldJob:
    """What is to be trained, and by what.

    Attributes:
        store_url, sweep: of the `Run` whose fold it is; `sweep` is an id.
    """

    store_url: str
    sweep: str
    fold: int
    pods: FoldPods

    @property
    def name(self) -> str:
        """The same for the same training, by which it is found again after a restart."""
        run = hashlib.sha256(f"{self.store_url} {self.sweep}".encode()).hexdigest()[:10]
        return f"detsweep-{run}-fold-{self.fold}"

    @property
    def work(self) -> str:
        """A digest of all that decides what the pods do and where."""
        described = json.dumps([self._labels(), self._spec()], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()[:16]

    def manifest(self, owner: Json | None = None) -> dict[str, Any]:
        """The TrainJob. It is deleted with its owner, the pod of the step that watches it."""
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "TrainJob",
            "metadata": {
                "name": self.name,
                "labels": self._labels(),
                "annotations": {WORK: self.work},
                **({"ownerReferences": [dict(owner)]} if owner else {}),
            },
            "spec": self._spec(),
        }

    def _labels(self) -> dict[str, str]:
        labels = {"app.kubernetes.io/name": "detsweep", "detsweep.io/step": "fold"}
        return labels | ({QUEUE: self.pods.queue} if self.pods.queue else {})

    def _spec(self) -> dict[str, Any]:
        return {
            "runtimeRef": {"apiGroup": GROUP, "kind": "TrainingRuntime", "name": RUNTIME},
            "activeDeadlineSeconds": _DEADLINE_S,
            "trainer": {
                "image": self.pods.image,
                # The Trainer sets PET_*: how many processes and nodes, and the first of these.
                "command": ["python3", "-m", "detector.steps.fold_node"],
                "args": [self.store_url, self.sweep, str(self.fold)],
                "env": [{"name": THREADS, "value": str(self.pods.resources.threads)}],
                "numNodes": self.pods.nodes,
                "numProcPerNode": self.pods.gpus,
                "resourcesPerNode": self.pods.resources_per_node(),
            },
            # A Trainer before 2.3 does not know this field, and refuses the job.
            "runtimePatches": [self.pods.runtime_patch()],
        }


@dataclass(frozen=True)
class FoundJob:
    """A TrainJob of the cluster, as the API describes it."""

    described: Json

    @property
    def metadata(self) -> Json:
        """What Kubernetes keeps of any object."""
        found: Json = self.described["metadata"]
        return found

    @property
    def name(self) -> str:
        """Of the job."""
        return str(self.metadata["name"])

    @property
    def work(self) -> str:
        """The digest that the job was made with; see `FoldJob.work`."""
        return str(self.metadata.get("annotations", {}).get(WORK, ""))

    @property
    def is_dying(self) -> bool:
        """Whether it was deleted and waits for its pods to end."""
        return "deletionTimestamp" in self.metadata

    @property
    def is_taken_up(self) -> bool:
        """Whether a controller has written anything about it."""
        return bool(self.described.get("status"))

    @property
    def owner_uid(self) -> str | None:
        """Of the pod that it is deleted with; None where it has none."""
        owners = self.metadata.get("ownerReferences") or [{}]
        uid: str | None = owners[0].get("uid")
        return uid

    def condition(self, kind: str) -> Json | None:
        """The condition of that type, if it is true."""
        for found in self.described.get("status", {}).get("conditions", []):
            if found["type"] == kind and found["status"] == "True":
                condition: Json = found
                return condition
        return None

    @property
    def has_ended(self) -> bool:
        """Whether it is complete or has failed."""
        return self.condition("Complete") is not None or self.condition("Failed") is not None
