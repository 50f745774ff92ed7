"""Train the best configuration on one fold."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def fold(
    index: int,
    gpus: int,
    gpu_type: str,
    image: str,
    store_url: str,
    sweep: dsl.Input[dsl.Artifact],
    best: dsl.Input[dsl.Artifact],
    scores: dsl.Output[dsl.Metrics],
) -> None:
    """Above one GPU a training that is left to do is a TrainJob's, and this step finds it trained.
    `best` says that the configuration is chosen."""
    from pathlib import Path

    from components.this_pod import label_this_pod
    from detector.console import plain_errors
    from detector.steps.fold import train_fold

    def train_on_gpus() -> None:
        from components.train_job import FoldJob, TrainJobs

        job = FoldJob(store_url, sweep_id, index, gpus, image, gpu_type)
        TrainJobs.of_this_pod().run(job)

    label_this_pod("detsweep.io/fold", index)
    scores.metadata["display_name"] = f"fold {index}"
    sweep_id = Path(sweep.path).read_text()
    with plain_errors():
        result = train_fold(store_url, sweep_id, index, train_on_gpus if gpus > 1 else None)
        for name, value in result.scores.items():
            scores.log_metric(name, value)
        scores.metadata["reused_trial"] = result.reused_trial
