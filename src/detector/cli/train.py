"""`detsweep train`: one training run, outside of any sweep."""

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.completing import Overrides
from detector.cli.progress import epoch_bar, note, spinning
from detector.config.loading import load_config
from detector.config.metrics import LOSS, METRIC, PRECISION, RECALL, SECONDS
from detector.config.schema import Config
from detector.console import PREEMPTED_EXIT_CODE, say
from detector.data.processes import Processes
from detector.errors import StoreError
from detector.evaluation.ahead import compiling_ahead
from detector.extras import need
from detector.storage.atomic import what_keeps_from_writing
from detector.wording import counted

Data = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|URL",
        help="The data set: a folder or an s3:// URL. It sets `data.path`, which is DETSWEEP_DATA "
        "by default.",
    ),
]
RunDir = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Folder of this run; the same one resumes it.")
]
Fold = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Leave this fold out and validate on it; without it, train on every page that is "
        "not held out and validate on the held-out ones.",
    ),
]


def train_run(
    overrides: Overrides = None,
    data: Data = None,
    run_dir: RunDir = Path("runs/train"),
    fold: Fold = None,
) -> None:
    """Train one detector on a data set."""
    need("train")
    words = [*(overrides or []), *([f"data.path={data}"] if data else [])]
    with compiling_ahead():
        _train(load_config(words), run_dir, fold)


def _train(config: Config, run_dir: Path, fold: int | None) -> None:
    # It takes seconds to import, and most commands do without.
    with spinning("loading torch"):
        from detector.data.opening import split_pages
        from detector.ensemble.single import export_training
        from detector.export.teacher import with_taught_pages
        from detector.tracking.opening import open_tracker
        from detector.training.needs import require_needs
        from detector.training.nothing_found import refuse_to_go_on
        from detector.training.result import EpochMetrics
        from detector.training.run import train

    obstacle = what_keeps_from_writing(run_dir)
    if obstacle:
        raise StoreError(obstacle, where=str(run_dir), remedy="name another folder by --run-dir")
    require_needs(config)
    with spinning(f"reading {config.data.path}"):
        pages = split_pages(config)
    folds = with_taught_pages(config, pages)
    is_first = Processes.of_environment().is_first
    hmeans: list[float] = []

    def show(metrics: EpochMetrics) -> bool:
        values = metrics.values
        hmeans.append(values[METRIC])
        say(
            f"epoch {metrics.epoch}/{config.trainer.max_epochs} · "
            f"loss {values[LOSS]:.3f} · {METRIC} {values[METRIC]:.4f} "
            f"(recall {values[RECALL]:.4f}, precision {values[PRECISION]:.4f}) · "
            f"{values[SECONDS]:.0f} s"
        )
        refuse_to_go_on(hmeans, config.trainer.max_epochs)
        return True

    with open_tracker(config, run_dir, run_dir.name, run_dir.parent.name) as tracker:
        if is_first:
            note(f"building the network, to train on {counted(len(folds.training(fold)), 'page')}")
        with epoch_bar() as on_step:
            result = train(config, folds, fold, run_dir, show, tracker, on_step)
        if result.status == "finished" and is_first:
            page, model = folds.validation(fold)[0], run_dir / "model.onnx"
            say(f"writing {model}")
            export_training(result.checkpoint, page, model)
            tracker.model(lambda: model)
        tracker.end(result.status)
    if result.status == "preempted":
        raise typer.Exit(PREEMPTED_EXIT_CODE)
    if is_first:
        score = f"{METRIC} {result.kept_hmean:.4f}"
        say(f"kept: epoch {result.kept_epoch}, {score}, {result.checkpoint}")
