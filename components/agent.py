"""Work on a sweep: take trials and train them until there are none left."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def agent(
    index: int,
    trials_per_agent: int,
    store_url: str,
    backend_url: str,
    sweep: dsl.Input[dsl.Artifact],
    trials: dsl.Output[dsl.Metrics],
) -> None:
    """A trial that fails is recorded as failed, and the agent goes on: were it to fail itself, the
    cluster would stop the other agents too. `trials_per_agent` 0 means no limit."""
    from collections import Counter
    from pathlib import Path

    from components.this_pod import label_this_pod
    from detector.console import plain_errors
    from detector.steps.agent import run_sweep_agent

    label_this_pod("detsweep.io/agent", index)
    trials.metadata["display_name"] = f"agent {index}"
    with plain_errors():
        summary = run_sweep_agent(
            store_url,
            backend_url,
            sweep_id=Path(sweep.path).read_text(),
            agent=f"agent-{index}",
            count=trials_per_agent or None,
        )
        for outcome, count in Counter(summary.outcomes.values()).items():
            trials.log_metric(outcome, count)
        if summary.status == "preempted":
            raise SystemExit("told to end before the sweep was done; run again, it continues")
