"""The `detsweep` command: its groups, and how it ends when something is wrong."""

from typing import Annotated

import typer

from detector.cli import config, data, errors, plan, predict, promote, sweep, topics, train
from detector.cli import run as run_command
from detector.console import plain_errors
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
app.command("promote")(promote.promote_model)
app.command("errors")(errors.show_errors)
app.command("help")(topics.show_topic)
app.add_typer(data.app)
app.add_typer(sweep.app, name="sweep")
app.add_typer(config.app)


def run() -> None:
    """The entry point. A `DetsweepError` is printed without its traceback; the exit code is 2."""
    with plain_errors():
        app()


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"detsweep {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options that stand before a command."""
