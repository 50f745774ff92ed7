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
    from dataclasses import asdict
    from pathlib import Path

    from components.outputs import describe, measure
    from components.this_pod import grace_seconds
    from detector.console import plain_errors
    from detector.report.tables import format_range
    from detector.steps.ensemble import build_lastingly
    from detector.steps.run import Run

    with plain_errors():
        run = Run(store_url, Path(sweep.path).read_text(encoding="utf-8"))
        outcome = build_lastingly(run, prefer, baseline, grace_seconds())
        model.uri += ".onnx"  # What downloads it needs the ending.
        Path(model.path).write_bytes(run.ensemble.model)
        Path(report.path).write_bytes(run.ensemble.report.encode())
        card = run.ensemble.card
    choice, verdict = outcome.choice, outcome.promotion
    chosen = {"chosen": f"{choice.chosen}: {choice.reason}"}
    promotion = {"promotion": verdict and verdict.to_dict()}
    intervals = {
        f"{row.name}, 95 % interval": row.interval and format_range(row.interval)
        for row in choice.candidates
    }
    describe(model, "model", {**asdict(card), **chosen, **promotion})
    describe(report, "report of the run")
    describe(scores, "candidates", intervals)
    measure(scores, {row.name: row.hmean for row in choice.candidates})
    measure(scores, {"gain over the baseline": verdict.gain.value if verdict else None})
    return verdict.verdict if verdict else ""
