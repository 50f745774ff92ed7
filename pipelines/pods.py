"""What the pods of a run's steps look like on a cluster, and what is tried again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kfp import dsl, kubernetes

from components.resources import QUEUE, THREADS, Resources, multiple
from components.this_pod import POD, POD_UID
from pipelines.settings import Settings

Secret = tuple[str, Mapping[str, str]]
"""A Secret of the pipeline's namespace, and which of its keys becomes which environment variable.
A step gets those that it needs; all are optional."""

S3: Secret = (
    "detsweep-s3",
    {
        "AWS_ENDPOINT_URL": "DETSWEEP_S3_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID": "DETSWEEP_S3_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY": "DETSWEEP_S3_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION": "DETSWEEP_S3_REGION",
    },
)
"""By names of our own: Kubeflow's launcher, in the same container, would take AWS_* for the keys of
its own store."""
POSTGRESQL: Secret = ("detsweep-postgresql", {"password": "PGPASSWORD"})
GRPC: Secret = ("detsweep-grpc", {"token": "DETSWEEP_GRPC_TOKEN"})
WANDB: Secret = ("detsweep-wandb", {"WANDB_API_KEY": "WANDB_API_KEY"})
_OF_BACKENDS: Mapping[str, Secret] = {"postgresql": POSTGRESQL, "grpc": GRPC, "wandb": WANDB}
"""Of the places where a sweep may be kept, by how their URLs begin."""

_HOUR_S = 3600
_CPU_TIMEOUT_S, _GPU_TIMEOUT_S = 6 * _HOUR_S, 7 * 24 * _HOUR_S
"""A step that hangs holds its node no longer than this; it is tried again and goes on."""

_RETRIES = 50
"""Argo counts lost pods. A step on nodes that are taken away now and then loses many in a week."""
_RETRY_AFTER, _RETRY_FOR = "30s", "720h"
"""Argo ends whatever pod runs when the second has passed since the step's first pod began, and
takes an hour where nothing is said."""

_USER = 10001
"""Of the image. Said by the pod too, for a namespace that asks for it."""


@dataclass(frozen=True)
class Pods:
    """What the pods of a run's steps look like on a cluster.

    Attributes:
        image, node_selector, tolerations, node_affinity: parameters of the run.
    """

    settings: Settings
    image: object
    node_selector: object
    tolerations: object
    node_affinity: object

    @property
    def of_backend(self) -> tuple[Secret, ...]:
        """What opens the place where the trials are kept."""
        url = self.settings.backend
        return tuple(
            secret for kind, secret in _OF_BACKENDS.items() if url is None or url.startswith(kind)
        )

    @property
    def of_tracker(self) -> tuple[Secret, ...]:
        """What a step needs that shows trainings at W&B."""
        return (WANDB,) if self.settings.tracker in (None, "wandb") else ()

    def check(self, task: dsl.PipelineTask, name: str, *secrets: Secret) -> None:
        """For a step that trains nothing."""
        self._prepare(task, name, secrets, self.settings.checking, _CPU_TIMEOUT_S)

    def watch(self, task: dsl.PipelineTask, name: str, *secrets: Secret) -> None:
        """For a step that waits for a training elsewhere, for as long as that takes."""
        self._prepare(task, name, secrets, self.settings.checking, _GPU_TIMEOUT_S)

    def build(self, task: dsl.PipelineTask, name: str, *secrets: Secret) -> None:
        """For a step that computes as much as a training, without a GPU."""
        self._prepare(task, name, secrets, self.settings.of_training, _CPU_TIMEOUT_S)
        self._share_memory(task)

    def train(self, task: dsl.PipelineTask, name: str, *secrets: Secret, gpus: int = 1) -> None:
        """For a step that trains: on GPUs, on the nodes that the run names."""
        one = self.settings.of_training
        self._prepare(task, name, secrets, one.times(gpus), _GPU_TIMEOUT_S)
        task.set_env_variable(THREADS, str(one.threads))  # of each process, one for each GPU
        self._share_memory(task, gpus)
        if self.settings.gpu:
            task.set_accelerator_type(self.settings.gpu).set_accelerator_limit(gpus)
        kubernetes.add_node_selector_json(task, self.node_selector)
        kubernetes.add_toleration_json(task, self.tolerations)
        kubernetes.add_node_affinity_json(task, self.node_affinity)

    def _prepare(
        self,
        task: dsl.PipelineTask,
        name: str,
        secrets: Iterable[Secret],
        resources: Resources,
        timeout_s: int,
    ) -> None:
        """What every step has in common. Never cached: a step's outcome lies in the run store,
        which Kubeflow does not see. Tried again: a step that starts over finds what it had done."""
        task.set_display_name(name)
        task.set_container_image(self.image)
        task.set_caching_options(False)
        task.set_retry(
            num_retries=_RETRIES,
            backoff_duration=_RETRY_AFTER,
            backoff_factor=1,
            backoff_max_duration=_RETRY_FOR,
        )
        task.set_cpu_request(resources.cpu).set_cpu_limit(resources.cpu_limit)
        task.set_memory_request(resources.memory).set_memory_limit(resources.memory_limit)
        task.set_env_variable(THREADS, str(resources.threads))
        kubernetes.set_timeout(task, timeout_s)
        kubernetes.set_security_context(
            task, run_as_user=_USER, run_as_group=_USER, run_as_non_root=True
        )
        kubernetes.set_image_pull_policy(task, "IfNotPresent")
        if self.settings.pull_secrets:
            kubernetes.set_image_pull_secrets(task, list(self.settings.pull_secrets))
        # Kubeflow fills no loop's item into a label: agents and folds label their pods themselves.
        kubernetes.use_field_path_as_env(task, POD, "metadata.name")
        kubernetes.use_field_path_as_env(task, POD_UID, "metadata.uid")
        for label, value in self._labels(task).items():
            kubernetes.add_pod_label(task, label, value)
        for secret, keys in dict(secrets).items():
            kubernetes.use_secret_as_env(task, secret, dict(keys), optional=True)

    def _labels(self, task: dsl.PipelineTask) -> dict[str, str]:
        labels = {
            "app.kubernetes.io/name": "detsweep",
            "detsweep.io/sweep": self.settings.label,
            "detsweep.io/step": task.name.replace("_", "-"),
        }
        if self.settings.queue:
            labels[QUEUE] = self.settings.queue
        return labels

    def _share_memory(self, task: dsl.PipelineTask, processes: int = 1) -> None:
        size = multiple(processes, self.settings.of_shared_memory)
        kubernetes.empty_dir_mount(
            task, "shared-memory", "/dev/shm", medium="Memory", size_limit=size
        )
