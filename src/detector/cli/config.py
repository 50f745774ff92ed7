"""`detsweep config`: what a run's configuration is, and which keys it has."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
import yaml

from detector.cli.completing import Overrides
from detector.config.keys import all_keys
from detector.config.loading import load_config, no_such_key, preset_names, preset_summary

app = typer.Typer(name="config", help="Show the configuration of a run.", no_args_is_help=True)


@app.command()
def show(overrides: Overrides = None) -> None:
    """Print the configuration that the overrides make, as YAML."""
    tree = load_config(overrides or []).to_dict()
    typer.echo(yaml.safe_dump(tree, sort_keys=False), nl=False)


@app.command()
def keys(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD", help="Only the keys whose names hold these words."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say of every key that an override or a sweep may set what it may be, its default and what it
    does."""
    chosen = [key for key in all_keys() if all(word in key.name for word in words or [])]
    if not chosen:
        raise no_such_key(" ".join(words or []))
    if as_json:
        typer.echo(json.dumps([asdict(key) for key in chosen], indent=2, ensure_ascii=False))
    for key in [] if as_json else chosen:
        typer.echo(f"{key.name}={key.shown_default}  ({key.type})\n    {key.meaning}")


@app.command()
def presets() -> None:
    """List the presets that come with detsweep, and what each is for."""
    for name in preset_names():
        typer.echo(f"{name}\n    {preset_summary(name)}")
