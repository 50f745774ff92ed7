"""`detsweep run`: the whole pipeline on this machine, and the summary that it ends with."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from detector.cli.backend_option import say_if_password_is_seen
from detector.cli.completing import Overrides, complete_preference
from detector.cli.next_steps import next_steps
from detector.cli.progress import spinning
from detector.console import narrow_table, plain_console
from detector.extras import need

if TYPE_CHECKING:
    from detector.evaluation.score_row import ScoreRow
    from detector.steps.run import EnsembleFiles, Run
    from detector.sweep.outcome import SweepOutcome

Data = Annotated[
    str,
    typer.Option(
        metavar="FOLDER|URL",
        help="The data set: a folder or an s3:// URL.",
        envvar="DETSWEEP_DATA",
    ),
]
SweepFile = Annotated[
    Path, typer.Option(metavar="FILE", help="The sweep file.", exists=True, dir_okay=False)
]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|URL",
        help="Where the run is kept: a folder or an s3:// URL; runs/<sweep> by default.",
    ),
]
BackendUrl = Annotated[
    str | None,
    typer.Option(
        "--backend",
        callback=say_if_password_is_seen,
        metavar="URL",
        help="Where the trials are kept; SQLite in the store by default.",
    ),
]
Agents = Annotated[
    int, typer.Option(min=1, help="How many trials, and later folds, are trained at once.")
]
Prefer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=complete_preference,
        help="Which candidate becomes the model: balance (by default: the fastest within noise of "
        "the best score), accuracy, speed, or a candidate's name.",
    ),
]
Baseline = Annotated[
    str,
    typer.Option(
        metavar="MODEL|SCORE",
        help="The model in use, which the new one is judged by: ONNX or an H-Mean.",
    ),
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
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show the steps, what each takes and the hours that they will take, by some "
            "seconds of training; start nothing, and leave nothing in the store.",
        ),
    ] = False,
) -> None:
    """Sweep, train the folds, build the ensemble: the pipeline of Kubeflow, on this machine.

    Stopped or failed, it continues where it was when it is given the same store.
    """
    need("train", "sweep")
    with spinning("looking at what the run is asked for"):
        # It loads kfp, which no other command needs.
        from detector.choosing.candidates import BALANCE
        from pipelines.run import asked_run, gpu_count, run_asked

        asked = asked_run(
            data,
            sweep,
            overrides=overrides or [],
            store=store,
            backend=backend,
            agents=agents,
            prefer=prefer or BALANCE,
            baseline=baseline,
        )
    if dry_run:
        from detector.cli.dry_run import show_dry_run

        show_dry_run(asked, gpu_count())
        return
    _print_summary(run_asked(asked), asked.shown_backend, plain_console())


def _print_summary(run: "Run", backend: str, console: Console) -> None:
    choice = run.ensemble.outcome.choice
    style = "bold yellow" if choice.is_worse_than_public else "bold"
    console.print(f"\n{choice.beside_public}", style=style, highlight=False, soft_wrap=True)
    _print_best(run.outcome, console)
    _print_model(run.ensemble, console)
    status = shlex.join(["detsweep", "sweep", "status", run.sweep, "--backend", backend])
    console.print(f"trials   {status}", highlight=False, soft_wrap=True)
    if commands := next_steps(run):
        console.print(Text("\nNext", "bold"), "find text, score the model, see its mistakes")
        for command in commands:
            # To be copied: neither wrapped nor coloured.
            console.print(f"  {command}", highlight=False, soft_wrap=True)


def _print_best(sweep: "SweepOutcome", console: Console) -> None:
    best = sweep.as_plain()
    heading = Text("\nBest configuration", "bold")
    console.print(heading, "trial {trial}, epoch {epoch}".format(**best))
    for word in sweep.overrides:
        console.print(f"  {word}", highlight=False)
    console.print(_trial_table(sweep))
    for reason in sweep.reasons:
        console.print(f"  {reason}", highlight=False, soft_wrap=True)


def _print_model(ensemble: "EnsembleFiles", console: Console) -> None:
    outcome = ensemble.outcome
    choice = outcome.choice
    console.print(
        _score_table("Folds, each on its own pages", [*outcome.folds, outcome.out_of_fold])
    )
    console.print(
        _score_table(
            "On the held-out pages (✓ is in the ONNX file)", choice.candidates, choice.chosen
        )
    )
    console.print(f"{choice.chosen}: {choice.reason}", highlight=False, soft_wrap=True)
    console.print(choice.thresholds, highlight=False, soft_wrap=True)
    if outcome.promotion:
        verdict = Text(outcome.promotion.sentence(), "bold")
        console.print(verdict, highlight=False, soft_wrap=True)
    for name, url in (
        ("model", ensemble.model_url),
        ("report", ensemble.report_url),
        ("overlay", ensemble.overlay_url),
    ):
        # Paths are to be copied, so they are not wrapped.
        console.print(f"{name:8} {url}", highlight=False, soft_wrap=True)


def _trial_table(sweep: "SweepOutcome") -> Table:
    table = _table("Trials", "trial", "state", "epoch", sweep.metric)
    for trial in sweep.trials:
        epoch, value = trial.best(sweep.goal) or (None, None)
        table.add_row(
            str(trial.number),
            trial.state,
            "-" if epoch is None else str(epoch),
            _number(value, 4),
            style="bold green" if trial == sweep.best else None,
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
            _number(row.ms_per_page, 0),
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
