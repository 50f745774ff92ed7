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
    manifest: dsl.Output[dsl.Dataset],
    pages: dsl.Output[dsl.Metrics],
) -> list[int]:
    """Returns the numbers of the folds that the ensemble is trained on. `folds` 0 leaves their
    count to the configuration."""
    from pathlib import Path

    from detector.console import plain_errors
    from detector.steps.prepare import prepare as run_step

    with plain_errors():
        counted = [f"folds.count={folds}"] if folds else []
        words = [*overrides, *counted, f"data.path={data}"]
        prepared = run_step(store_url, words, gpus_per_fold)
        Path(manifest.path).write_text(prepared.manifest.to_json())
        for name, count in prepared.page_counts.items():
            pages.log_metric(name, count)
        return prepared.fold_numbers
