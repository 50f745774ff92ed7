"""`detsweep config`: what a run's configuration is, and which keys it has."""

from typing import Annotated

import typer
import yaml

from detector.config.loading import known_keys, load_config, preset_names

app = typer.Typer(name="config", help="Show the configuration of a run.", no_args_is_help=True)

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Such as `preset=receipts_cpu`."),
]


@app.command()
def show(overrides: Overrides = None) -> None:
    """Print the configuration that the overrides make, as YAML."""
    tree = load_config(overrides or []).to_dict()
    typer.echo(yaml.safe_dump(tree, sort_keys=False), nl=False)


@app.command()
def keys() -> None:
    """List every key that an override or a sweep may set."""
    for key in known_keys():
        typer.echo(key)


@app.command()
def presets() -> None:
    """List the presets that come with detsweep."""
    for name in preset_names():
        typer.echo(name)
