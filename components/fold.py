"""Train the best configuration on one fold."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def fold(
    index: int,
    store_url: str,
    sweep: dsl.Input[dsl.Artifact],
    best: dsl.Input[dsl.Artifact],
    scores: dsl.Output[dsl.Metrics],
) -> None:
    """`best` says that the configuration is chosen."""
    from pathlib import Path

    from detector.console import plain_errors
    from detector.steps.fold import train_fold

    with plain_errors():
        result = train_fold(store_url, sweep_id=Path(sweep.path).read_text(), fold=index)
        for name, value in result.scores.items():
            scores.log_metric(name, value)
        scores.metadata["reused_trial"] = result.reused_trial
