"""Check the data set, fix the folds and store the configuration that the run goes by."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def prepare(
    store_url: str,
    data: str,
    overrides: list[str],
    folds: int,
    gpus_per_fold: int,
    nodes_per_fold: int,
    gpus_in_pod: int,
    manifest: dsl.Output[dsl.Dataset],
    pages: dsl.Output[dsl.Metrics],
) -> list[int]:
    """Returns the numbers of the folds that the ensemble is trained on. `folds` 0 leaves their
    count to the configuration. `gpus_in_pod` is what the pod of a fold's step has, 0 where a
    TrainJob has them."""
    from pathlib import Path

    from components.outputs import describe, measure
    from detector.console import plain_errors
    from detector.errors import ConfigError
    from detector.steps.prepare import prepare as run_step
    from detector.steps.run import Run

    with plain_errors():
        counted = [f"folds.count={folds}"] if folds else []
        words = [*overrides, *counted, f"data.path={data}"]
        if gpus_in_pod and (gpus_per_fold, nodes_per_fold) != (gpus_in_pod, 1):
            raise ConfigError(
                f"a fold's pod has {gpus_in_pod} GPUs on one node, and the run wants "
                f"{gpus_per_fold} on {nodes_per_fold}",
                where="gpus_per_fold, nodes_per_fold",
                remedy="submit the run with these parameters, which compiles the pipeline for them",
            )
        prepared = run_step(Run(store_url), words, gpus_per_fold * nodes_per_fold)
    Path(manifest.path).write_text(prepared.manifest.to_json(), encoding="utf-8")
    describe(manifest, "folds")
    describe(pages, "pages")
    measure(pages, prepared.page_counts)
    return prepared.fold_numbers
