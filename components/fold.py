"""Train the best configuration on one fold."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def fold(
    index: int,
    gpus: int,
    nodes: int,
    in_pod: bool,
    gpu_type: str,
    resources: dict,
    shared_memory: str,
    pull_secrets: list,
    queue: str,
    image: str,
    node_selector: dict,
    tolerations: list,
    node_affinity: dict,
    store_url: str,
    sweep: dsl.Input[dsl.Artifact],
    best: dsl.Input[dsl.Artifact],
    scores: dsl.Output[dsl.Metrics],
) -> None:
    """Above one GPU a training that is left to do is a TrainJob's, and this step finds it trained;
    with `in_pod` this pod has the GPUs. From `gpu_type` to `node_affinity`: what a TrainJob's pods
    look like (`FoldPods`). `best` says that the configuration is chosen."""
    from pathlib import Path

    from components.outputs import describe, measure
    from components.this_pod import grace_seconds, label_this_pod
    from detector.console import plain_errors
    from detector.steps.fold import train_fold, train_fold_lastingly
    from detector.steps.run import Run

    def train_on_gpus() -> None:
        if in_pod:
            from detector.steps.torchrun import run_torchrun

            run_torchrun(run, index, gpus)
            return
        from components.resources import Resources
        from components.train_jobs import FoldJob, FoldPods, TrainJobs

        pods = FoldPods(
            image=image,
            gpus=gpus,
            nodes=nodes,
            gpu=gpu_type,
            resources=Resources(**resources),
            shared_memory=shared_memory,
            node_selector=node_selector,
            tolerations=tolerations,
            node_affinity=node_affinity,
            pull_secrets=pull_secrets,
            queue=queue,
        )
        TrainJobs.of_this_pod().run(FoldJob(store_url, run.sweep, index, pods))

    label_this_pod("detsweep.io/fold", index)
    run = Run(store_url, Path(sweep.path).read_text(encoding="utf-8"))
    with plain_errors():
        if gpus * nodes > 1:
            result = train_fold(run, index, train_on_gpus)
        else:
            result = train_fold_lastingly(run, index, grace_seconds())
    describe(scores, f"fold {index}", {"reused_trial": result.reused_trial})
    measure(scores, result.scores)
