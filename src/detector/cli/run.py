"""`detsweep run`: the whole pipeline on this machine, and the summary that it ends with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from detector.console import narrow_table

if TYPE_CHECKING:
    from detector.evaluation.score_row import ScoreRow
    from detector.steps.ensemble import Summary

Data = Annotated[
    str,
    typer.Option(help="The data set: a folder or an s3:// URL.", envvar="DETSWEEP_DATA"),
]
SweepFile = Annotated[Path, typer.Option(help="The sweep file.", exists=True, dir_okay=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Such as `preset=receipts_cpu`."),
]
Store = Annotated[
    str | None,
    typer.Option(help="Where the run is kept: a folder or an s3:// URL; runs/<sweep> by default."),
]
BackendUrl = Annotated[
    str | None,
    typer.Option("--backend", help="Where the trials are kept; SQLite in the store by default."),
]
Agents = Annotated[
    int, typer.Option(min=1, help="How many trials, and later folds, are trained at once.")
]
Prefer = Annotated[
    str | None,
    typer.Option(
        help="Which candidate becomes the model: balance (by default: the fastest within noise of "
        "the best score), accuracy, speed, or a candidate's name."
    ),
]
Baseline = Annotated[
    str, typer.Option(help="The model in use, which the new one is judged by: ONNX or an H-Mean.")
]


def run_sweep(
    data: Data,
    sweep: SweepFile,
    overrides: Overrides = None,
    store: Store = None,
    backend: BackendUrl = None,
    agents: Agents = 2,
    prefer: Prefer = None,
    baseline: Baseline = "",
) -> None:
    """Sweep, train the folds, build the ensemble: the pipeline of Kubeflow, on this machine.

    Stopped or failed, it continues where it was when it is given the same store.
    """
    # It loads kfp, which no other command needs.
    from detector import run
    from detector.choosing.candidates import BALANCE

    summary = run(
        data,
        sweep,
        overrides=overrides or [],
        store=store,
        backend=backend,
        agents=agents,
        prefer=prefer or BALANCE,
        baseline=baseline,
    )
    _print_summary(summary, Console())


def _print_summary(summary: "Summary", console: Console) -> None:
    best = summary.best
    console.print(f"\n[bold]Best configuration[/] trial {best.trial}, epoch {best.epoch}")
    for word in best.overrides:
        console.print(f"  {word}", highlight=False)
    console.print(_trial_table(summary))
    for reason in best.reasons:
        console.print(f"  {reason}", highlight=False, soft_wrap=True)
    console.print(
        _score_table("Folds, each on its own pages", [*summary.folds, summary.out_of_fold])
    )
    console.print(
        _score_table(
            "On the held-out pages (✓ is in the ONNX file)", summary.candidates, summary.chosen
        )
    )
    console.print(f"{summary.chosen}: {summary.chosen_because}", highlight=False, soft_wrap=True)
    console.print(summary.thresholds, highlight=False, soft_wrap=True)
    if summary.promotion:
        console.print(f"[bold]{summary.promotion.sentence()}[/]", highlight=False, soft_wrap=True)
    for name, url in (
        ("model", summary.model),
        ("report", summary.report),
        ("overlay", summary.overlay),
    ):
        # Paths are to be copied, so they are not wrapped.
        console.print(f"{name:8} {url}", highlight=False, soft_wrap=True)


def _trial_table(summary: "Summary") -> Table:
    table = _table("Trials", "trial", "state", "epoch", summary.best.metric)
    for trial in summary.trials:
        table.add_row(
            str(trial.number),
            trial.state,
            "-" if trial.epoch is None else str(trial.epoch),
            _number(trial.value, 4),
            style="bold green" if trial.number == summary.best.trial else None,
        )
    return table


def _score_table(title: str, rows: Sequence["ScoreRow"], chosen: str | None = None) -> Table:
    numbers = ("pages", "H-Mean", "95 % interval", "recall", "precision", "IoU", "ms/page", "MB")
    table = _table(title, "model", *numbers)
    for row in rows:
        table.add_row(
            f"{row.name} ✓" if row.name == chosen else row.name,
            str(row.pages),
            _number(row.hmean, 4),
            "-" if row.interval is None else "{:.4f}\N{EN DASH}{:.4f}".format(*row.interval),
            *(_number(score, 4) for score in (row.recall, row.precision, row.iou_hmean)),
            _number(row.ms_per_page, 1),
            _number(row.megabytes, 1),
            style="bold green" if row.name == chosen else None,
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = narrow_table(f"\n{title}")
    table.add_column(first)
    for header in others:
        table.add_column(header, justify="right", no_wrap=True)
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
