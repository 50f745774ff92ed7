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

from detector.cli.sweep_check import check, read_sweep_file
from detector.console import PREEMPTED_EXIT_CODE, say
from detector.errors import SweepError
from detector.sweep.backends import Stopping, open_backend, serve_proxy
from detector.sweep.best import best_trial, override_line
from detector.sweep.check import check_sweep, configs_of, refuse_errors
from detector.sweep.spec import parse_sweep
from detector.sweep.status import status_table, sweep_status

app = typer.Typer(help="Search a configuration: many agents share one sweep.", no_args_is_help=True)
app.command()(check)

SweepId = Annotated[str, typer.Argument(help="The id that `detsweep sweep init` printed.")]
BackendUrl = Annotated[
    str,
    typer.Option(
        "--backend",
        envvar="DETSWEEP_BACKEND",
        help="Where the trials are kept: sqlite:///FILE, journal:///FILE, postgresql://…, "
        "grpc://HOST:PORT or wandb://ENTITY/PROJECT.",
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
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Such as `preset=receipts_cpu`."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            envvar="DETSWEEP_DATA",
            help="The data set: a folder or an s3:// URL. A `program` of your own needs none.",
        ),
    ] = None,
    store: StoreUrl = _DEFAULT_STORE,
    backend: BackendUrl = _DEFAULT_BACKEND,
    stopping: Annotated[
        Stopping,
        typer.Option(
            help="What ends trials early: the file's early_terminate, or for bayes without one "
            "detsweep's own rule; or with `adaptive` the own rule, whatever the file says."
        ),
    ] = "file",
) -> None:
    """Check file and data, create the sweep and print its id; the same file continues it."""
    # The steps import torch, which the other commands do not wait for.
    from detector.steps.prepare import prepare
    from detector.steps.sweep_init import init_sweep

    text = read_sweep_file(file)
    refuse_errors(check_sweep(text, str(file), configs_of(overrides or [])), str(file))
    if parse_sweep(text, str(file)).trains_detector:
        if data is None:
            raise SweepError(
                "no data set was given to train the detector on", remedy="give --data FOLDER"
            )
        prepare(store, [*(overrides or []), f"data.path={data}"])
    typer.echo(init_sweep(store, backend, text, stopping))


@app.command()
def agent(
    sweep: SweepId,
    store: StoreUrl = _DEFAULT_STORE,
    backend: BackendUrl = _DEFAULT_BACKEND,
    count: Annotated[
        int | None, typer.Option(min=1, help="Run this many trials at most, as W&B's --count.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, help="Leave after so many seconds; the running trial is released."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The agent's name; by default made of host and process.")
    ] = None,
) -> None:
    """Take trials of a sweep and train them until none is left.

    Agents may join and leave at any time. SIGTERM releases the running trial for another agent and
    ends with exit code 143.
    """
    from detector.steps.agent import run_sweep_agent

    summary = run_sweep_agent(store, backend, sweep, name or _own_name(), count, timeout)
    say(f"agent {summary.agent} · {summary.status} · {len(summary.outcomes)} trials")
    if summary.status == "preempted":
        raise typer.Exit(PREEMPTED_EXIT_CODE)


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
def stop(
    sweep: SweepId,
    backend: BackendUrl = _DEFAULT_BACKEND,
    now: Annotated[
        bool, typer.Option("--now", help="End running trials, too, after their epoch.")
    ] = False,
) -> None:
    """End a sweep: no trial is begun any more, and those that were begun are trained to their end.

    The agents end when none is left.
    """
    sweeps = open_backend(backend)
    sweeps.stop(sweep, now=now)
    running = [trial for trial in sweeps.trials(sweep) if trial.state == "running"]
    how = "end after their epoch" if now else "are trained to their end"
    say(f"sweep {sweep} is stopped; {len(running)} trials {how}")


@app.command()
def serve(
    backend: Annotated[
        str, typer.Option(help="The database: postgresql://…; for a trial of it, sqlite:///FILE.")
    ],
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 for every one of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 13000,
) -> None:
    """Hold a database's connections for any number of agents, which use --backend grpc://HOST:PORT.

    It may be restarted at any time: agents wait for it. It asks nobody for a password, so let only
    the agents' network reach it.
    """
    serve_proxy(backend, host, port, lambda: say(f"serving sweeps at grpc://{host}:{port}"))


def _own_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"
