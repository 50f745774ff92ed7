"""The pipeline: how the components meet, which ask for a GPU, and what is tried again.

`python -m pipelines submit --host URL` compiles it and runs it on Kubeflow, `make pipeline`
compiles it into pipelines/sweep.yaml, `detsweep run` runs it on one machine. Nothing here says how
a step does its work.

Between steps go artifacts, never parameters: kfp.local gives a step inside a ParallelFor the loop's
item in place of a parameter that comes straight from an earlier step.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from kfp import dsl, kubernetes

from components.agent import agent
from components.ensemble import ensemble
from components.fold import fold
from components.image import IMAGE
from components.prepare import prepare
from components.resources import QUEUE, THREADS, Resources, multiple
from components.select import select
from components.sweep_init import sweep_init
from components.this_pod import POD, POD_UID
from pipelines.settings import Settings

Secret = tuple[str, Mapping[str, str]]
"""A Secret of the pipeline's namespace, and which of its keys becomes which environment variable.
A step gets those that it needs; all are optional."""

_S3: Secret = (
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
_POSTGRESQL: Secret = ("detsweep-postgresql", {"password": "PGPASSWORD"})
_WANDB: Secret = ("detsweep-wandb", {"WANDB_API_KEY": "WANDB_API_KEY"})

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
class _Pods:
    """What the pods of a run's steps look like on a cluster.

    Attributes:
        image, node_selector, tolerations, node_affinity: parameters of the run.
    """

    settings: Settings
    image: object
    node_selector: object
    tolerations: object
    node_affinity: object

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
        for secret, keys in secrets:
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


def default_sweep() -> str:
    """The sweep that goes with the default preset, on one line: kfp writes defaults into a
    comment."""
    file = Path(__file__).with_name("default_sweep.yaml")
    tree = yaml.safe_load(file.read_text())
    line = yaml.safe_dump(tree, default_flow_style=True, sort_keys=False, width=sys.maxsize)
    return line.strip()


def build_pipeline(settings: Settings) -> Any:
    """The pipeline as `kfp` compiles and runs it, for one kind of cluster."""

    @dsl.pipeline(
        name="detsweep",
        description="A sweep over a text detector's configuration, its best configuration trained "
        "on every fold, and the ensemble of the folds as one ONNX model.",
    )
    def sweep_pipeline(
        data: str = "s3://detsweep/data/receipts",
        sweep_yaml: str = default_sweep(),
        store_url: str = "s3://detsweep/runs/default",
        backend_url: str = "postgresql://detsweep@detsweep-postgresql:5432/detsweep",
        overrides: list[str] = ["preset=hrnet_w44_1280"],  # noqa: B006  (kfp reads it, nobody changes it)
        agents: int = 2,
        trials_per_agent: int = 0,
        folds: int = 0,
        gpus_per_fold: int = settings.gpus_per_fold,
        nodes_per_fold: int = settings.nodes_per_fold,
        prefer: str = "balance",
        baseline: str = "",
        image: str = IMAGE,
        node_selector: dict = {},  # noqa: B006
        tolerations: list = [],  # noqa: B006
        node_affinity: dict = {},  # noqa: B006
    ) -> str:
        """From a labelled data set and a sweep file to one ONNX text detector.

        Args:
            data: the data set, an s3:// URL (or a folder that every pod sees).
            sweep_yaml: the content of a sweep file, in the schema of `wandb sweep`.
            store_url: where the run keeps everything; the same URL continues a run.
            backend_url: where the sweep's trials are kept, such as postgresql://… or wandb://….
            overrides: words that change the configuration, such as `preset=receipts_cpu`.
            agents: how many agents work on the sweep, each with a GPU of its own.
            trials_per_agent: how many trials an agent may run; 0 for no limit but the sweep's.
            folds: into how many folds the pages are split; 0 as the configuration says.
            gpus_per_fold, nodes_per_fold: on how many GPUs of how many nodes a fold is trained.
                Above one GPU each fold is a TrainJob of Kubeflow's Trainer (2.3 or newer), for
                which k8s/trainer has to be applied, unless the pipeline was compiled with
                `folds_on="pod"`.
            prefer: which candidate becomes the model: `balance` (the fastest within noise of the
                best), `accuracy`, `speed`, or a candidate's name.
            baseline: the model in use, which the new one is judged by: an ONNX file's URL, or an
                H-Mean.
            image: the container image of every step.
            node_selector: labels of the nodes that steps which train run on, such as
                `{"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}`.
            tolerations: taints of those nodes that are tolerated, as Kubernetes writes them.
            node_affinity: which nodes, where labels do not say enough: a `nodeAffinity` of
                Kubernetes.

        Returns:
            "promoted", "within noise" or "worse"; empty without a baseline.
        """
        pods = _Pods(settings, image, node_selector, tolerations, node_affinity)
        prepared = prepare(
            store_url=store_url,
            data=data,
            overrides=overrides,
            folds=folds,
            gpus_per_fold=gpus_per_fold,
            nodes_per_fold=nodes_per_fold,
            gpus_in_pod=settings.gpus_per_fold if settings.folds_on == "pod" else 0,
        )
        pods.check(prepared, "Check the data", _S3)

        created = sweep_init(
            store_url=store_url,
            backend_url=backend_url,
            sweep_yaml=sweep_yaml,
            agents=agents,
            manifest=prepared.outputs["manifest"],
        )
        pods.check(created, "Create the sweep", _S3, _POSTGRESQL, _WANDB)

        with dsl.ParallelFor(created.outputs["Output"], name="agents") as agent_number:
            working = agent(
                index=agent_number,
                trials_per_agent=trials_per_agent,
                store_url=store_url,
                backend_url=backend_url,
                sweep=created.outputs["sweep"],
            )
            pods.train(working, "Run trials", _S3, _POSTGRESQL, _WANDB)

        selected = select(
            agents=agents,
            trials_per_agent=trials_per_agent,
            store_url=store_url,
            backend_url=backend_url,
            sweep=created.outputs["sweep"],
            ended=dsl.Collected(working.outputs["trials"]),
        )
        # What agents left is trained here, and trials that tie are trained on another fold.
        pods.train(selected, "Choose the best", _S3, _POSTGRESQL, _WANDB)

        with dsl.ParallelFor(prepared.outputs["Output"], name="folds") as fold_number:
            trained = fold(
                index=fold_number,
                gpus=gpus_per_fold,
                nodes=nodes_per_fold,
                in_pod=settings.folds_on == "pod",
                gpu_type=settings.gpu,
                resources=asdict(settings.of_training),
                shared_memory=settings.of_shared_memory,
                pull_secrets=list(settings.pull_secrets),
                queue=settings.queue,
                image=image,
                node_selector=node_selector,
                tolerations=tolerations,
                node_affinity=node_affinity,
                store_url=store_url,
                sweep=created.outputs["sweep"],
                best=selected.outputs["best"],
            )
            if settings.fold_is_in_its_pod:
                pods.train(trained, "Train a fold", _S3, _WANDB, gpus=settings.gpus_per_fold)
            else:
                pods.watch(trained, "Train a fold", _S3)

        built = ensemble(
            store_url=store_url,
            prefer=prefer,
            baseline=baseline,
            sweep=created.outputs["sweep"],
            folds=dsl.Collected(trained.outputs["scores"]),
        )
        pods.build(built, "Build the ensemble", _S3, _WANDB)
        verdict: str = built.outputs["Output"]
        return verdict

    return sweep_pipeline


sweep_pipeline = build_pipeline(Settings())
"""For a cluster whose nodes have NVIDIA's GPUs. What `kfp dsl compile` finds in this file."""
