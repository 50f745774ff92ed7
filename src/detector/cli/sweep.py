"""`detsweep sweep`: create a sweep, work on it, look at it, end it."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.live import Live

from detector.console import say
from detector.errors import SweepError
from detector.sweep.backends import open_backend
from detector.sweep.best import best_trial, override_line
from detector.sweep.spec import parse_sweep
from detector.sweep.status import status_table, sweep_status

app = typer.Typer(help="Search a configuration: many agents share one sweep.", no_args_is_help=True)

SweepId = Annotated[str, typer.Argument(help="The id that `detsweep sweep init` printed.")]
BackendUrl = Annotated[
    str,
    typer.Option(
        "--backend",
        envvar="DETSWEEP_BACKEND",
        help="Where the trials are kept: sqlite:///FILE, journal:///FILE or postgresql://…",
    ),
]
StoreUrl = Annotated[
    str,
    typer.Option(
        "--store", envvar="DETSWEEP_STORE", help="The run store: a folder or s3://BUCKET/PREFIX."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_DEFAULT_BACKEND = "sqlite:///detsweep.db"
_DEFAULT_STORE = "runs/sweep"
_REFRESH_S = 2.0


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="A sweep file, in the schema of `wandb sweep`.")],
    data: Annotated[
        str, typer.Option(envvar="DETSWEEP_DATA", help="The data set: a folder or an s3:// URL.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Such as `preset=receipts_cpu`."),
    ] = None,
    store: StoreUrl = _DEFAULT_STORE,
    backend: BackendUrl = _DEFAULT_BACKEND,
) -> None:
    """Check the data, create the sweep of a file and print its id; the same file continues it."""
    # The steps import torch, which the other commands do not wait for.
    from detector.steps.prepare import prepare
    from detector.steps.sweep_init import init_sweep

    text = _read(file)
    parse_sweep(text, str(file))
    prepare(store, [*(overrides or []), f"data.path={data}"])
    typer.echo(init_sweep(store, backend, text))


@app.command()
def agent(
    sweep: SweepId,
    store: StoreUrl = _DEFAULT_STORE,
    backend: BackendUrl = _DEFAULT_BACKEND,
    count: Annotated[
        int | None, typer.Option(min=1, help="Run this many trials at most, as W&B's --count.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The agent's name; by default made of host and process.")
    ] = None,
) -> None:
    """Take trials of a sweep and train them until none is left."""
    from detector.steps.agent import run_sweep_agent

    summary = run_sweep_agent(store, backend, sweep, name or _own_name(), count)
    say(f"agent {summary.agent} · {summary.status} · {len(summary.outcomes)} trials")


@app.command()
def status(
    sweep: SweepId,
    backend: BackendUrl = _DEFAULT_BACKEND,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh until the sweep is over.")
    ] = False,
) -> None:
    """Show every trial: its state, its epochs, its best value and its agent."""
    sweeps = open_backend(backend)
    current = sweep_status(sweeps, sweep)
    if as_json:
        typer.echo(json.dumps(current.to_dict(), indent=2))
        return
    console = Console()
    if not watch:
        console.print(status_table(current))
        return
    with Live(status_table(current), console=console, auto_refresh=False) as live:
        while not current.is_over:
            time.sleep(_REFRESH_S)
            current = sweep_status(sweeps, sweep)
            live.update(status_table(current), refresh=True)


@app.command()
def best(
    sweep: SweepId,
    backend: BackendUrl = _DEFAULT_BACKEND,
    as_json: AsJson = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print YAML.")] = False,
    overrides: Annotated[
        bool, typer.Option("--overrides", help="Print one line to paste behind `detsweep train`.")
    ] = False,
) -> None:
    """Show the best trial that has ended and its parameters."""
    if as_json + as_yaml + overrides > 1:
        raise SweepError(
            "more than one form was asked for", remedy="give one of --json, --yaml and --overrides"
        )
    sweeps = open_backend(backend)
    metric = sweeps.spec(sweep).metric
    trial = best_trial(sweeps.trials(sweep), metric.goal)
    reached = trial.best(metric.goal) if trial else None
    if trial is None or reached is None:
        raise SweepError(
            "no trial has ended with a score yet",
            where=f"sweep {sweep}",
            remedy=f"see `detsweep sweep status {sweep}`",
        )
    epoch, value = reached
    if overrides:
        typer.echo(override_line(trial.params))
        return
    content = {
        "trial": trial.number,
        "metric": metric.name,
        "value": value,
        "epoch": epoch,
        "params": dict(trial.params),
    }
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    elif as_yaml:
        typer.echo(yaml.safe_dump(content, sort_keys=False), nl=False)
    else:
        typer.echo(f"trial {trial.number} · {metric.name} {value:.4f} at epoch {epoch}")
        typer.echo(f"detsweep train {override_line(trial.params)}")


@app.command()
def stop(sweep: SweepId, backend: BackendUrl = _DEFAULT_BACKEND) -> None:
    """End a sweep: no trial is begun any more, and a running one ends at its next report."""
    sweeps = open_backend(backend)
    sweeps.stop(sweep)
    running = [trial for trial in sweeps.trials(sweep) if trial.state == "running"]
    say(f"sweep {sweep} is stopped; {len(running)} trials end after their epoch")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SweepError(
            f"cannot read the sweep file: {error}", where=str(file), remedy="check the path"
        ) from error


def _own_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"
