"""What the shell completes: overrides, presets, ids of sweeps and topics of the help.

`detsweep --install-completion` sets it up for bash, zsh, fish and PowerShell.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from detector.config.keys import all_keys
from detector.config.loading import preset_names, preset_summary

_RUNS = Path("runs")


def complete_override(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Words of the form key=value: keys with their defaults, then the values of one key.

    bash splits such a word: before `begun` stand the words `key` and `=`, or `key` alone while
    nothing follows the `=`.
    """
    before: list[str] = ctx.params.get("overrides") or []
    key, equals, begun = incomplete.partition("=")
    if equals:
        yield from ((f"{key}={value}", said) for value, said in _values(key, begun))
    elif len(before) > 1 and before[-1] == "=":
        yield from _values(before[-2], incomplete)
    elif not incomplete and before and (values := list(_values(before[-1]))):
        yield from values
    else:
        for known in all_keys():
            default = "" if known.name == "preset" else known.shown_default
            yield f"{known.name}={default}", known.meaning


def complete_sweep_id(incomplete: str) -> list[str]:
    """The sweeps whose trials have been kept below `runs/`."""
    found = {folder.name for folder in _RUNS.glob("*/sweeps/*") if folder.is_dir()}
    return sorted(name for name in found if name.startswith(incomplete))


def _values(name: str, begun: str = "") -> Iterator[tuple[str, str]]:
    """What the key may be, as far as it can be listed, and what that is for."""
    for value, said in _all_values(name):
        if value.startswith(begun):
            yield value, said


def _all_values(name: str) -> Iterator[tuple[str, str]]:
    if name == "preset":
        yield from ((preset, preset_summary(preset)) for preset in preset_names())
        return
    for key in all_keys():
        if key.name == name:
            yield from ((value, key.meaning) for value in key.choices or [key.shown_default])


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings such as `preset=receipts_cpu`; `detsweep config keys` lists them.",
        autocompletion=complete_override,
    ),
]
