"""Build the ensemble from the folds and export it to ONNX."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def ensemble(
    store_url: str,
    prefer: str,
    baseline: str,
    sweep: dsl.Input[dsl.Artifact],
    folds: dsl.Input[list[dsl.Metrics]],
    model: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    scores: dsl.Output[dsl.Metrics],
) -> str:
    """Returns the verdict about the baseline, empty without one. `folds` says that every fold is
    trained."""
    import json
    from pathlib import Path

    from detector.console import plain_errors
    from detector.report.tables import format_range
    from detector.steps.ensemble import CARD, MODEL, REPORT, build
    from detector.storage import RunStore

    model.metadata["display_name"] = "model"
    report.metadata["display_name"] = "report of the run"
    scores.metadata["display_name"] = "candidates"
    with plain_errors():
        store = RunStore(store_url)
        summary = build(store_url, Path(sweep.path).read_text(), prefer, baseline)
        Path(model.path).write_bytes(store.read(MODEL))
        model.metadata.update(json.loads(store.read(CARD)))
        Path(report.path).write_bytes(store.read(REPORT))
        for row in summary.candidates:
            if row.hmean is not None:
                scores.log_metric(row.name, row.hmean)
            if row.interval is not None:
                scores.metadata[f"{row.name}, 95 % interval"] = format_range(row.interval)
        model.metadata["chosen"] = f"{summary.chosen}: {summary.chosen_because}"
        if summary.promotion is None:
            return ""
        scores.log_metric("gain over the baseline", summary.promotion.gain.value)
        model.metadata["promotion"] = summary.promotion.to_dict()
        return summary.promotion.verdict
