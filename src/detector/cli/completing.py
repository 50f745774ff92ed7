"""What the shell completes: overrides, presets, ids of sweeps and topics of the help.

`detsweep --install-completion` sets it up for bash, zsh, fish and PowerShell.
"""

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from detector.config.keys import Key, all_keys
from detector.config.loading import preset_names, preset_networks, preset_summary
from detector.config.schema import PP_LCNET_V3
from detector.model.published import CHECKPOINT, PUBLISHED

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


def complete_preference(incomplete: str) -> list[str]:
    """What `--prefer` takes besides the names of candidates."""
    from detector.choosing.candidates import ACCURACY, BALANCE, SPEED

    return [word for word in (BALANCE, ACCURACY, SPEED) if word.startswith(incomplete)]


def _values(name: str, begun: str = "") -> Iterator[tuple[str, str]]:
    """What the key may be, as far as it can be listed, and what that is for."""
    if name == "preset":
        known = [(preset, preset_summary(preset)) for preset in preset_names()]
        known += [(path, "") for path in _paths(begun, (".yaml", ".yml"))]
    else:
        known = [
            (value, key.meaning)
            for key in all_keys()
            if key.name == name
            for value in dict.fromkeys([*_of_key(key, begun), *(["null"] * key.may_be_null)])
        ]
    yield from ((value, said) for value, said in known if value.startswith(begun))


def _of_key(key: Key, begun: str) -> Sequence[str]:
    match key.name:
        case "models.init":
            return [*PUBLISHED, *_paths(begun, (CHECKPOINT, ".onnx"))]
        case "models.teacher":
            return _paths(begun, (".onnx",))
        case "data.path" | "data.unlabelled":
            return [key.shown_default, *_paths(begun, ())]
        case "models.encoder.model_name":
            return _networks(begun)
        case _:
            return key.choices or [key.shown_default]


def _networks(begun: str) -> Sequence[str]:
    """Those of the presets; where a name begins otherwise, timm's, which takes seconds to load."""
    usual = {PP_LCNET_V3, *preset_networks()}
    found = sorted(name for name in usual if name.startswith(begun))
    if found or find_spec("timm") is None:
        return found
    import timm

    return [str(name) for name in timm.list_models(f"{begun}*")]


def _paths(begun: str, suffixes: Sequence[str]) -> list[str]:
    """The folders here that begin so, and the files that end in one of the suffixes."""
    above = begun[: begun.rfind("/") + 1]
    try:
        entries = sorted(os.scandir(above or "."), key=lambda entry: entry.name)
    except OSError:
        return []
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    return [
        f"{above}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in shown
        if entry.is_dir() or entry.name.endswith(tuple(suffixes))
    ]


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings such as `preset=receipts_cpu`; `detsweep config keys` lists them.",
        autocompletion=complete_override,
    ),
]
