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
    """A trial that fails is recorded as failed, and the agent goes on. `trials_per_agent` 0 means
    no limit.

    An agent that gives up ends well, too: were its step to fail, the run would, although others
    finish its trials.
    """
    from pathlib import Path

    from components.outputs import describe, measure
    from components.this_pod import grace_seconds, label_this_pod
    from detector.console import plain_errors, say
    from detector.steps.agent import run_lasting_agent
    from detector.steps.run import Run
    from detector.sweep.opening import SweepAddress

    label_this_pod("detsweep.io/agent", index)
    address = SweepAddress(backend_url, Path(sweep.path).read_text(encoding="utf-8"))
    with plain_errors():
        end = run_lasting_agent(
            Run(store_url, address.id),
            address,
            agent=f"agent-{index}",
            count=trials_per_agent or None,
            grace_s=grace_seconds(),
        )
    if end.gave_up:
        say(f"gives up: {end.gave_up}; others train what it leaves, and `select` does at last")
    describe(trials, f"agent {index}", {"gave up": end.gave_up and str(end.gave_up)})
    measure(trials, end.outcomes)
