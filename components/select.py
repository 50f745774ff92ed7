"""Choose the sweep's best configuration and report the sweep."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def select(
    agents: int,
    trials_per_agent: int,
    store_url: str,
    backend_url: str,
    sweep: dsl.Input[dsl.Artifact],
    ended: dsl.Input[list[dsl.Metrics]],
    best: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    scores: dsl.Output[dsl.Metrics],
) -> None:
    """`ended` says that every agent has. Trials that they have left are trained first."""
    from pathlib import Path

    import yaml

    from components.outputs import describe, measure
    from components.this_pod import grace_seconds
    from detector.console import plain_errors
    from detector.steps.run import Run
    from detector.steps.select import select_lastingly
    from detector.sweep.opening import SweepAddress

    address = SweepAddress(backend_url, Path(sweep.path).read_text(encoding="utf-8"))
    with plain_errors():
        selection = select_lastingly(
            Run(store_url, address.id),
            address,
            agents,
            trials_per_agent,
            grace_seconds(),
        )
    outcome = selection.outcome
    chosen = outcome.as_plain()
    Path(best.path).write_text(
        yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    Path(report.path).write_text(selection.report, encoding="utf-8")
    reasons = {"reasons": " ".join(outcome.reasons)}
    describe(best, "best configuration", {**chosen["params"], **reasons})
    describe(report, "report of the sweep")
    describe(scores, "chosen trial")
    measure(scores, {outcome.metric: outcome.value, "trial": chosen["trial"]})
