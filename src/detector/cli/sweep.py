"""`detsweep sweep`: create a sweep, work on it, look at it, take it elsewhere, end it."""

import json
import os
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.live import Live

from detector.cli.backend_option import say_if_password_is_seen
from detector.cli.completing import Overrides, complete_sweep_id
from detector.cli.finite import finite
from detector.cli.progress import note
from detector.cli.sweep_check import check
from detector.console import PREEMPTED_EXIT_CODE, plain_console, put, say
from detector.errors import ConfigError, StoreError, SweepError
from detector.extras import need
from detector.patience import SHORT_PATIENCE_S
from detector.redacting import shown_url
from detector.storage.output import STDOUT, write_output
from detector.sweep.trial import Stopping
from detector.wording import counted

if TYPE_CHECKING:
    from detector.steps.run import Run
    from detector.sweep.outcome import SweepOutcome
    from detector.sweep.status import SweepStatus

app = typer.Typer(help="Search a configuration: many agents share one sweep.", no_args_is_help=True)
app.command()(check)


SweepId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        autocompletion=complete_sweep_id,
        help="The id that `detsweep sweep init` printed.",
    ),
]
BackendUrl = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="URL",
        envvar="DETSWEEP_BACKEND",
        callback=say_if_password_is_seen,
        help="Where the trials are kept: sqlite:///FILE, journal:///FILE, postgresql://…, "
        "grpc://HOST:PORT or wandb://ENTITY/PROJECT.",
    ),
]
StoreUrl = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="FOLDER|URL",
        envvar="DETSWEEP_STORE",
        help="The run store: a folder or s3://BUCKET/PREFIX.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_DEFAULT_BACKEND = "sqlite:///detsweep.db"
_DEFAULT_STORE = "runs/sweep"
_REFRESH_S = 2.0
_LOG_WIDTH = 140


@app.command()
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A sweep file, in the schema of `wandb sweep`.")
    ],
    overrides: Overrides = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URL",
            envvar="DETSWEEP_DATA",
            help="The data set: a folder or an s3:// URL. A `program` of your own needs none.",
        ),
    ] = None,
    store: StoreUrl = _DEFAULT_STORE,
    backend: BackendUrl = _DEFAULT_BACKEND,
    stopping: Annotated[
        Stopping,
        typer.Option(
            help="What ends trials early: what the file says, which is nothing without "
            "early_terminate; or with `adaptive` detsweep's own rule, whatever the file says."
        ),
    ] = "file",
) -> None:
    """Check file and data, create the sweep and print its id; the same file continues it."""
    need("sweep")
    # The steps import torch, which the other commands do not wait for.
    from detector.steps.run import Run
    from detector.steps.sweep_init import begin_run
    from detector.sweepfile.spec import read_sweep_file

    text, words = read_sweep_file(file), overrides or []
    begun = begin_run(Run(store), backend, text, str(file), words, data, stopping)
    typer.echo(begun.id)
    words = ["--store", store] if store != _DEFAULT_STORE else []
    words += ["--backend", shown_url(backend)] if backend != _DEFAULT_BACKEND else []
    agent_words = shlex.join(["detsweep", "sweep", "agent", begun.id, *words])
    note(f"train its trials with: {agent_words}")


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
        typer.Option(
            min=0,
            callback=finite,
            help="Leave after so many seconds; the running trial is released.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The agent's name; by default made of host and process."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The sweep file that `sweep init` was given, for a program of your own where "
            "--store is another one.",
        ),
    ] = None,
) -> None:
    """Take trials of a sweep and train them until none is left.

    Agents may join and leave at any time. SIGTERM releases the running trial for another agent and
    ends with exit code 143. A storage or a disk that was away or full for five minutes
    (DETSWEEP_PATIENCE_SECONDS) does the same with exit code 75.
    """
    need("sweep")
    from detector.config.loading import apply_params
    from detector.steps.agent import run_sweep_agent
    from detector.steps.run import Run
    from detector.sweep.opening import SweepAddress
    from detector.sweepfile.spec import read_sweep_file
    from detector.training.needs import require_needs

    given = None if file is None else read_sweep_file(file)
    taken, run = SweepAddress(backend, sweep).open(), Run(store, sweep)
    if taken.spec.trains_detector:
        run.require_sweep()
        constants = taken.spec.constants
        swept = taken.spec.parameters.keys() - constants.keys()
        require_needs(apply_params(run.config, constants), swept)
    summary = run_sweep_agent(run, taken, name or _own_name(), count, timeout, given)
    say(f"agent {summary.agent} · {summary.status} · {counted(len(summary.outcomes), 'trial')}")
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
    """Show the trials, who works on them, where they were stopped and when all will have ended.

    With --watch and no terminal, a line is printed whenever something has changed.
    """
    need("sweep")
    from detector.sweep.opening import open_sweep
    from detector.sweep.status import sweep_status

    shown = open_sweep(backend, sweep)
    console = _console()
    current = sweep_status(shown)
    with _shown(console, as_json, watch) as show:
        show(current)
        while watch and not current.is_over:
            time.sleep(_REFRESH_S)
            current = sweep_status(shown)
            show(current)


def _console() -> Console:
    """As wide as the terminal, and wide enough for the table where there is none."""
    console = plain_console()
    is_sized = console.is_terminal or "COLUMNS" in os.environ
    return console if is_sized else plain_console(width=_LOG_WIDTH)


@contextmanager
def _shown(
    console: Console, as_json: bool, watch: bool
) -> Iterator[Callable[["SweepStatus"], None]]:
    """How a status is shown, once or again and again."""
    from detector.sweep.status_view import status_tables

    if not watch:
        yield (
            lambda status: (
                typer.echo(json.dumps(_as_json(status), indent=2))
                if as_json
                else console.print(status_tables(status))
            )
        )
    elif as_json:
        yield lambda status: put(json.dumps(_as_json(status)))
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda status: live.update(status_tables(status, console.height), refresh=True)
    else:
        yield _line_by_line()


def _as_json(status: "SweepStatus") -> dict[str, object]:
    return {"sweep_id": status.id, **status.to_dict()}


def _line_by_line() -> Callable[["SweepStatus"], None]:
    from detector.sweep.status_view import status_line

    last = ""

    def show(status: "SweepStatus") -> None:
        nonlocal last
        line = status_line(status)
        if line != last:
            say(line)
        last = line

    return show


@app.command()
def best(
    sweep: SweepId,
    store: StoreUrl = _DEFAULT_STORE,
    backend: BackendUrl = _DEFAULT_BACKEND,
    as_json: AsJson = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print YAML.")] = False,
    overrides: Annotated[
        bool, typer.Option("--overrides", help="Print one line to paste behind `detsweep train`.")
    ] = False,
) -> None:
    """Show the best trial that has ended and its parameters.

    Once the pipeline has chosen among trials that tie, its choice is the best; otherwise the trial
    with the best value is. With the --store of the agents, the overrides begin with those that
    `sweep init` was given.
    """
    need("sweep")
    from detector.sweep.best import override_line
    from detector.sweep.opening import open_sweep
    from detector.sweep.outcome import SweepOutcome

    if as_json + as_yaml + overrides > 1:
        raise SweepError(
            "more than one form was asked for", remedy="give one of --json, --yaml and --overrides"
        )
    run = _run_at(store, sweep)
    so_far = SweepOutcome.so_far(open_sweep(backend, sweep))
    if so_far.best is None:
        raise SweepError(
            "no trial has ended with a score yet",
            where=f"sweep {sweep}",
            remedy=f"see `detsweep sweep status {sweep}`",
        )
    selected = run.find_outcome()
    if selected is not None:
        _say_what_was_selected(so_far, selected)
    content = _as_content(selected or so_far, "selection" if selected else "best value")
    line = override_line({**_given_at_init(run), **content["params"]})
    if overrides:
        typer.echo(line)
    elif as_json:
        typer.echo(json.dumps(content, indent=2))
    elif as_yaml:
        typer.echo(yaml.safe_dump(content, sort_keys=False), nl=False)
    else:
        typer.echo("trial {trial} · {metric} {value:.4f} at epoch {epoch}".format(**content))
        typer.echo(f"detsweep train {line}" if so_far.trains_detector else line)


def _as_content(outcome: "SweepOutcome", named_by: str) -> dict[str, Any]:
    shown = outcome.as_plain()
    keys = ("trial", "metric", "value", "epoch", "params")
    return {**{key: shown[key] for key in keys}, "named_by": named_by}


def _say_what_was_selected(by_value: "SweepOutcome", selected: "SweepOutcome") -> None:
    highest, chosen = by_value.as_plain(), selected.as_plain()
    if highest["trial"] != chosen["trial"]:
        typer.echo(
            f"trial {highest['trial']} has the best {by_value.metric}, {highest['value']:.4f}; the "
            f"selection named trial {chosen['trial']}: {' '.join(selected.reasons)}",
            err=True,
        )


def _given_at_init(run: "Run") -> dict[str, object]:
    """The preset of the store's configuration and what it changes; nothing where it has none of
    this sweep."""
    from detector.config.loading import changes_of_preset

    try:
        config = run.config_of_sweep
        return changes_of_preset(config) if config else {}
    except (
        ConfigError,
        StoreError,
    ) as error:  # damaged, or of a store that another version of detsweep has written
        typer.echo(f"what `sweep init` was given is left out: {error}", err=True)
        return {}


@app.command()
def export(
    sweep: SweepId,
    trials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file for one row a trial; ID-trials.csv by default."
        ),
    ] = None,
    epochs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file for one row an epoch; ID-epochs.csv by default."
        ),
    ] = None,
    store: StoreUrl = _DEFAULT_STORE,
    backend: BackendUrl = _DEFAULT_BACKEND,
) -> None:
    """Write the sweep's trials and their epochs as tables: CSV, or Parquet for names in .parquet.

    With one of --trials and --epochs, only that one is written.
    """
    need("sweep")
    from detector.sweep.export import encode, epoch_table, trial_table
    from detector.sweep.opening import open_sweep

    if trials is None and epochs is None:
        trials, epochs = Path(f"{sweep}-trials.csv"), Path(f"{sweep}-epochs.csv")
    tell = note if STDOUT in (trials, epochs) else say
    run = _run_at(store, sweep) if epochs is not None else None
    exported = open_sweep(backend, sweep)
    metric, records = exported.spec.metric, exported.trials()
    if trials is not None:
        table = trial_table(records, metric.goal, metric.name)
        write_output(trials, encode(table, trials.name))
        tell(f"{counted(len(table.rows), 'trial')} written to {trials}")
    if epochs is not None and run is not None:
        known = {trial.number: run.trial(trial.number).history for trial in records}
        table = epoch_table(records, metric.name, known)
        write_output(epochs, encode(table, epochs.name))
        tell(f"{counted(len(table.rows), 'epoch')} written to {epochs}")
        if any(trial.curve for trial in records) and not any(known.values()):
            tell(f"no other metric than {metric.name} is in {store}: give --store of the agents")


@app.command()
def report(
    sweep: SweepId,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file; in the sweep's folder of the store by default."
        ),
    ] = None,
    store: StoreUrl = _DEFAULT_STORE,
    backend: BackendUrl = _DEFAULT_BACKEND,
) -> None:
    """Write a report of the sweep as one HTML file, while it runs or once it has ended.

    With the --store of the agents it says what the best configuration changes, too.
    """
    need("sweep")
    from detector.steps.report import report_sweep
    from detector.sweep.opening import open_sweep

    run = _run_at(store, sweep)
    page = report_sweep(run, open_sweep(backend, sweep))
    if out is not None:
        write_output(out, page.encode())
        (note if out == STDOUT else say)(f"the report is in {out}")
    else:
        say(f"the report is in {run.write_sweep_report(page)}")


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
    need("sweep")
    from detector.sweep.opening import open_sweep

    stopped = open_sweep(backend, sweep)
    stopped.stop(now=now)
    running = [trial for trial in stopped.trials() if trial.state == "running"]
    how = "to end after the epoch" if now else "to be trained to the end"
    say(f"sweep {sweep} is stopped; {counted(len(running), 'trial')} {how}")


@app.command()
def extend(
    sweep: SweepId,
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="How many trials more.")],
    backend: BackendUrl = _DEFAULT_BACKEND,
) -> None:
    """Give a sweep more trials than its `run_cap`, also when it has ended or was stopped."""
    need("sweep")
    from detector.sweep.opening import open_sweep

    open_sweep(backend, sweep).extend(trials)
    say(f"{counted(trials, 'trial')} added to sweep {sweep}")
    _say_who_trains(sweep, backend)


@app.command()
def retry(
    sweep: SweepId,
    trials: Annotated[
        list[int] | None, typer.Argument(metavar="[TRIAL]...", help="All that failed, by default.")
    ] = None,
    backend: BackendUrl = _DEFAULT_BACKEND,
) -> None:
    """Queue trials that have failed once more: they go on from their last epoch."""
    need("sweep")
    from detector.sweep.opening import open_sweep

    failed = open_sweep(backend, sweep)
    numbers = trials or [trial.number for trial in failed.trials() if trial.state == "failed"]
    for number in numbers:
        failed.retry(number)
    say(f"{counted(len(numbers), 'failed trial')} of sweep {sweep} to be tried again")
    if numbers:
        _say_who_trains(sweep, backend)


def _say_who_trains(sweep: str, backend: str) -> None:
    words = ["--backend", shown_url(backend)] if backend != _DEFAULT_BACKEND else []
    note(f"agents train them: {shlex.join(['detsweep', 'sweep', 'agent', sweep, *words])}")


@app.command()
def serve(
    backend: Annotated[
        str,
        typer.Option(
            metavar="URL",
            envvar="DETSWEEP_BACKEND",
            callback=say_if_password_is_seen,
            help="The database: postgresql://…; for a trial of it, sqlite:///FILE.",
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="The address to listen on; 0.0.0.0 for every one of this machine.",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 13000,
) -> None:
    """Hold a database's connections for any number of agents, which use --backend grpc://HOST:PORT.

    It may be restarted at any time: agents wait for it. DETSWEEP_GRPC_TOKEN, in its environment and
    the agents', is what they have to show; without one it listens to this machine alone. With
    DETSWEEP_GRPC_TLS_CERT and DETSWEEP_GRPC_TLS_KEY, two PEM files, it speaks TLS (grpcs://HOST:PORT).
    """
    need("sweep")
    from detector.sweep.opening import serve_proxy

    serve_proxy(backend, host, port, lambda url: say(f"serving sweeps at {url}"))


def _run_at(store: str, sweep: str) -> "Run":
    """What the agents have left in a store. It is not asked for long, and a store that was named
    has to be there: without it, an answer would lack what the person asked about."""
    from detector.steps.run import Run

    run = Run(store, sweep, patience_s=SHORT_PATIENCE_S)
    if store != _DEFAULT_STORE:
        run.require_there()
    return run


def _own_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"
