"""The pipeline: how the components meet, and which ask for a GPU.

`python -m pipelines submit --host URL` compiles it and runs it on Kubeflow, `make pipeline`
compiles it into pipelines/sweep.yaml, `detsweep run` runs it on one machine. Nothing here says how
a step does its work, or what its pod looks like (see `pods`).

Between steps go artifacts, never parameters: kfp.local gives a step inside a ParallelFor the loop's
item in place of a parameter that comes straight from an earlier step.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from kfp import dsl

from components.agent import agent
from components.ensemble import ensemble
from components.fold import fold
from components.image import IMAGE
from components.prepare import prepare
from components.select import select
from components.sweep_init import sweep_init
from pipelines.pods import S3, Pods
from pipelines.settings import Settings


def default_sweep() -> str:
    """The sweep that goes with the default preset, on one line: kfp writes defaults into a
    comment."""
    file = Path(__file__).with_name("default_sweep.yaml")
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
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
        pods = Pods(settings, image, node_selector, tolerations, node_affinity)
        prepared = prepare(
            store_url=store_url,
            data=data,
            overrides=overrides,
            folds=folds,
            gpus_per_fold=gpus_per_fold,
            nodes_per_fold=nodes_per_fold,
            gpus_in_pod=settings.gpus_per_fold if settings.folds_on == "pod" else 0,
        )
        pods.check(prepared, "Check the data", S3)

        created = sweep_init(
            store_url=store_url,
            backend_url=backend_url,
            sweep_yaml=sweep_yaml,
            agents=agents,
            manifest=prepared.outputs["manifest"],
        )
        pods.check(created, "Create the sweep", S3, *pods.of_backend)

        with dsl.ParallelFor(created.outputs["Output"], name="agents") as agent_number:
            working = agent(
                index=agent_number,
                trials_per_agent=trials_per_agent,
                store_url=store_url,
                backend_url=backend_url,
                sweep=created.outputs["sweep"],
            )
            pods.train(working, "Run trials", S3, *pods.of_backend, *pods.of_tracker)

        selected = select(
            agents=agents,
            trials_per_agent=trials_per_agent,
            store_url=store_url,
            backend_url=backend_url,
            sweep=created.outputs["sweep"],
            ended=dsl.Collected(working.outputs["trials"]),
        )
        # What agents left is trained here, and trials that tie are trained on another fold.
        pods.train(selected, "Choose the best", S3, *pods.of_backend, *pods.of_tracker)

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
                gpus = settings.gpus_per_fold
                pods.train(trained, "Train a fold", S3, *pods.of_tracker, gpus=gpus)
            else:
                pods.watch(trained, "Train a fold", S3, *pods.of_tracker)

        built = ensemble(
            store_url=store_url,
            prefer=prefer,
            baseline=baseline,
            sweep=created.outputs["sweep"],
            folds=dsl.Collected(trained.outputs["scores"]),
        )
        pods.build(built, "Build the ensemble", S3, *pods.of_tracker)
        verdict: str = built.outputs["Output"]
        return verdict

    return sweep_pipeline


sweep_pipeline = build_pipeline(Settings())
"""For a cluster whose nodes have NVIDIA's GPUs. What `kfp dsl compile` finds in this file."""
