"""Choose the sweep's best configuration and report the sweep."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def select(
    store_url: str,
    backend_url: str,
    sweep: dsl.Input[dsl.Artifact],
    agents: dsl.Input[list[dsl.Metrics]],
    best: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    scores: dsl.Output[dsl.Metrics],
) -> None:
    """`agents` says that every agent has ended."""
    from pathlib import Path

    from detector.console import plain_errors
    from detector.steps.select import select as run_step

    best.metadata["display_name"] = "best configuration"
    report.metadata["display_name"] = "report of the sweep"
    scores.metadata["display_name"] = "chosen trial"
    with plain_errors():
        selection = run_step(store_url, backend_url, sweep_id=Path(sweep.path).read_text())
        Path(best.path).write_text(selection.best.to_yaml())
        best.metadata.update(selection.best.params)
        best.metadata["reasons"] = " ".join(selection.best.reasons)
        Path(report.path).write_text(selection.report)
        scores.log_metric(selection.best.metric, selection.best.value)
        scores.log_metric("trial", selection.best.trial)
