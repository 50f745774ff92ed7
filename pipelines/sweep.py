"""The pipeline: how the components meet, which ask for a GPU, and what is tried again.

`python pipelines/sweep.py submit --host URL` compiles it and runs it on Kubeflow, `make pipeline`
compiles it into pipelines/sweep.yaml, `detsweep run` runs it on one machine. Nothing here says how
a step does its work.

Between steps go artifacts, never parameters: kfp.local gives a step inside a ParallelFor the loop's
item in place of a parameter that comes straight from an earlier step.
"""

import os
import sys
from pathlib import Path

import yaml
from kfp import dsl, kubernetes

from components.agent import agent
from components.ensemble import ensemble
from components.fold import fold
from components.image import IMAGE
from components.prepare import prepare
from components.select import select
from components.sweep_init import sweep_init
from components.this_pod import POD

_SECRETS = {
    "detsweep-s3": {
        "AWS_ENDPOINT_URL": "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY",
    },
    "detsweep-postgresql": {"password": "PGPASSWORD"},
    "detsweep-wandb": {"WANDB_API_KEY": "WANDB_API_KEY"},
}
"""Secrets of the pipeline's namespace: name → key → environment variable. All are optional."""

_SWEEP = os.environ.get("DETSWEEP_SWEEP", "default")
"""Names a run's pods, for `kubectl logs -l detsweep.io/sweep=NAME`. Read when the pipeline is
compiled, since Kubeflow fills no parameter into a label."""

_GPU = os.environ.get("DETSWEEP_GPU", "nvidia.com/gpu")
"""The resource of which a step that trains asks for one, such as `nvidia.com/mig-3g.40gb`; empty on
a cluster without GPUs. Read when the pipeline is compiled: kfp 2.17 loses a parameter in this place
on its way into a loop."""

_GPUS_PER_FOLD = int(os.environ.get("DETSWEEP_GPUS_PER_FOLD", "1"))
"""Read when the pipeline is compiled, too: a step that only watches a TrainJob asks for no GPU."""

_SWEEP_YAML = yaml.safe_dump(
    yaml.safe_load(Path(__file__).with_name("default_sweep.yaml").read_text()),
    default_flow_style=True,
    sort_keys=False,
    width=sys.maxsize,
).strip()
"""The sweep that goes with the default preset, on one line: kfp writes defaults into a comment."""

_HOUR_S = 3600
_CPU_TIMEOUT_S, _GPU_TIMEOUT_S = 6 * _HOUR_S, 7 * 24 * _HOUR_S
"""A step that hangs holds its node no longer than this; it is tried again and goes on."""

_SHARED_MEMORY = "8Gi"
"""Data loading hands its batches over through /dev/shm, of which a pod has 64 MiB by default."""


def _on_cluster(
    task: dsl.PipelineTask, display_name: str, image: str, timeout_s: int = _CPU_TIMEOUT_S
) -> None:
    """What every step has in common. Never cached: a step's outcome lies in the run store, which
    Kubeflow does not see. Tried again: a step that starts over finds what it had finished."""
    task.set_display_name(display_name)
    task.set_container_image(image)
    task.set_caching_options(False)
    task.set_retry(num_retries=3, backoff_duration="30s", backoff_factor=2)
    kubernetes.add_pod_label(task, "app.kubernetes.io/name", "detsweep")
    kubernetes.add_pod_label(task, "detsweep.io/sweep", _SWEEP)
    kubernetes.add_pod_label(task, "detsweep.io/step", task.name.replace("_", "-"))
    # Kubeflow fills no loop's item into a label: agents and folds label their pods themselves.
    kubernetes.use_field_path_as_env(task, POD, "metadata.name")
    kubernetes.set_timeout(task, timeout_s)
    for secret, keys in _SECRETS.items():
        kubernetes.use_secret_as_env(task, secret, keys, optional=True)


def _on_gpu(
    task: dsl.PipelineTask,
    display_name: str,
    image: str,
    node_selector: object,
    tolerations: object,
) -> None:
    _on_cluster(task, display_name, image, _GPU_TIMEOUT_S)
    if _GPU:
        task.set_accelerator_type(_GPU).set_accelerator_limit(1)
    kubernetes.add_node_selector_json(task, node_selector)
    kubernetes.add_toleration_json(task, tolerations)
    kubernetes.empty_dir_mount(
        task, "shared-memory", "/dev/shm", medium="Memory", size_limit=_SHARED_MEMORY
    )


@dsl.pipeline(
    name="detsweep",
    description="A sweep over a text detector's configuration, its best configuration trained on "
    "every fold, and the ensemble of the folds as one ONNX model.",
)
def sweep_pipeline(
    data: str = "s3://detsweep/data/receipts",
    sweep_yaml: str = _SWEEP_YAML,
    store_url: str = "s3://detsweep/runs/default",
    backend_url: str = "postgresql://detsweep@detsweep-postgresql:5432/detsweep",
    overrides: list[str] = ["preset=hrnet_w44_1280"],  # noqa: B006  (kfp reads it, nobody changes it)
    agents: int = 2,
    trials_per_agent: int = 0,
    folds: int = 0,
    gpus_per_fold: int = _GPUS_PER_FOLD,
    prefer: str = "balance",
    baseline: str = "",
    image: str = IMAGE,
    node_selector: dict = {},  # noqa: B006
    tolerations: list = [],  # noqa: B006
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
        gpus_per_fold: on how many GPUs of one node a fold is trained. Above 1 each fold is a
            TrainJob of Kubeflow's Trainer, for which k8s/trainer has to be applied.
        prefer: which candidate becomes the model: `balance` (the fastest within noise of the best),
            `accuracy`, `speed`, or a candidate's name.
        baseline: the model in use, an ONNX file's URL or an H-Mean, which the new one is judged by.
        image: the container image of every step.
        node_selector: labels of the nodes that steps which train run on, such as
            `{"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}`.
        tolerations: taints of those nodes that are tolerated, as Kubernetes writes them.

    Returns:
        "promoted", "within noise" or "worse"; empty without a baseline.
    """
    prepared = prepare(
        store_url=store_url,
        data=data,
        overrides=overrides,
        folds=folds,
        gpus_per_fold=gpus_per_fold,
    )
    _on_cluster(prepared, "Check the data", image)

    created = sweep_init(
        store_url=store_url,
        backend_url=backend_url,
        sweep_yaml=sweep_yaml,
        agents=agents,
        manifest=prepared.outputs["manifest"],
    )
    _on_cluster(created, "Create the sweep", image)

    with dsl.ParallelFor(created.outputs["Output"], name="agents") as agent_number:
        working = agent(
            index=agent_number,
            trials_per_agent=trials_per_agent,
            store_url=store_url,
            backend_url=backend_url,
            sweep=created.outputs["sweep"],
        )
        _on_gpu(working, "Run trials", image, node_selector, tolerations)

    selected = select(
        store_url=store_url,
        backend_url=backend_url,
        sweep=created.outputs["sweep"],
        agents=dsl.Collected(working.outputs["trials"]),
    )
    # Trials that tie are trained on another fold before one is named.
    _on_gpu(selected, "Choose the best", image, node_selector, tolerations)

    with dsl.ParallelFor(prepared.outputs["Output"], name="folds") as fold_number:
        trained = fold(
            index=fold_number,
            gpus=gpus_per_fold,
            gpu_type=_GPU,
            image=image,
            store_url=store_url,
            sweep=created.outputs["sweep"],
            best=selected.outputs["best"],
        )
        if _GPUS_PER_FOLD == 1:
            _on_gpu(trained, "Train a fold", image, node_selector, tolerations)
        else:
            _on_cluster(trained, "Train a fold", image, _GPU_TIMEOUT_S)

    built = ensemble(
        store_url=store_url,
        prefer=prefer,
        baseline=baseline,
        sweep=created.outputs["sweep"],
        folds=dsl.Collected(trained.outputs["scores"]),
    )
    _on_cluster(built, "Build the ensemble", image)
    return built.outputs["Output"]


if __name__ == "__main__":
    from pipelines.submit import main

    main()
