"""Create the sweep that the agents will work on."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def sweep_init(
    store_url: str,
    backend_url: str,
    sweep_yaml: str,
    agents: int,
    manifest: dsl.Input[dsl.Dataset],
    sweep: dsl.Output[dsl.Artifact],
) -> list[int]:
    """Returns the numbers of the agents, from 1.

    The sweep id is the artifact's content: an artifact reaches the iterations of a ParallelFor in
    every runner, a parameter does not. `manifest` says that the data is ready.
    """
    from pathlib import Path

    from components.outputs import describe
    from detector.console import plain_errors
    from detector.errors import ConfigError
    from detector.steps.run import Run
    from detector.steps.sweep_init import init_sweep

    with plain_errors():
        if agents < 1:
            raise ConfigError(
                f"{agents} agents train nothing", where="agents", remedy="give 1 or more"
            )
        created = init_sweep(Run(store_url), backend_url, sweep_yaml)
    Path(sweep.path).write_text(created.id, encoding="utf-8")
    describe(sweep, "sweep", {"id": created.id})
    return list(range(1, agents + 1))
