"""The `detsweep` command: its groups, and how it ends when something is wrong."""

import os
import sys
from typing import Annotated

import typer

from detector.cli import config, data, errors, export, plan, predict, promote, sweep, topics, train
from detector.cli import run as run_command
from detector.console import LOG, LogStyle, plain_errors, print_what_no_one_can_encode
from detector.environment import threads, usual_lease_seconds
from detector.errors import ConfigError
from detector.patience import patience_seconds
from detector.version import __version__

app = typer.Typer(
    name="detsweep",
    help="From labelled page images and a sweep file to a tuned, ensembled ONNX text detector.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("run")(run_command.run_sweep)
app.command("plan")(plan.plan_run)
app.command("train")(train.train_run)
app.command("predict")(predict.predict_images)
app.command("evaluate")(predict.evaluate_model)
app.command("export")(export.export_model)
app.command("promote")(promote.promote_model)
app.command("errors")(errors.show_errors)
app.command("help")(topics.show_topic)
app.add_typer(data.app)
app.add_typer(sweep.app, name="sweep")
app.add_typer(config.app)


def run() -> None:
    """The entry point. A `DetsweepError` is printed without its traceback; the exit code is 2."""
    print_what_no_one_can_encode()
    with plain_errors():
        app()


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"detsweep {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[  # noqa: ARG001  # its callback has printed it
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No lines of progress but warnings.")
    ] = False,
    json_log: Annotated[
        bool, typer.Option("--json-log", help="Each line of progress as a JSON object.")
    ] = False,
) -> None:
    """Options that stand before a command."""
    _refuse_bad_environment()
    if quiet and json_log:
        raise typer.BadParameter("give --quiet or --json-log, not both")
    os.environ[LOG] = _style(quiet, json_log)


def _refuse_bad_environment() -> None:
    """Name a variable that has a bad value at once, and not when it is needed at last.

    Raises:
        ConfigError: one has.
    """
    for read in (threads, patience_seconds, usual_lease_seconds):
        read()
    if os.environ.get(LOG, "") not in ("", *LogStyle):
        raise ConfigError(
            f"{os.environ[LOG]!r} is no style of lines",
            where=LOG,
            remedy=f"give one of {', '.join(LogStyle)}, or unset it",
        )


def _style(quiet: bool, json_log: bool) -> LogStyle:
    """What was asked for; otherwise a log has times, and a terminal does not need them."""
    if quiet or json_log:
        return LogStyle.QUIET if quiet else LogStyle.JSON
    if LOG in os.environ or sys.stdout.isatty():
        return LogStyle.of_environment()
    return LogStyle.TIMED
