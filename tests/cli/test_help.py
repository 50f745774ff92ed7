"""Every help says what each argument and option is, and of what form."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from detector.cli.main import app
from pipelines.submit.commands import app as submit_app

ROOT = Path(__file__).parents[2]
BARE_TYPE = re.compile(r"<(?:str|path|list\[\w+\])>|\b(?:TEXT|PATH)\b")


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*path, name))


APPS = {"detsweep": app, "pipelines": submit_app}
COMMANDS = [
    pytest.param(APPS[name], path, command, id=" ".join((name, *path)))
    for name in APPS
    for path, command in walk(typer.main.get_command(APPS[name]))
]


def shown_help(of: typer.Typer, path: tuple[str, ...]) -> str:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(of, [*path, "--help"])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(("of", "path", "command"), COMMANDS)
def test_every_command_says_what_it_does(
    of: typer.Typer, path: tuple[str, ...], command: Any
) -> None:
    assert command.help


@pytest.mark.parametrize(("of", "path", "command"), COMMANDS)
def test_every_argument_and_option_has_a_help(
    of: typer.Typer, path: tuple[str, ...], command: Any
) -> None:
    assert not [param.name for param in command.params if not param.help]


@pytest.mark.parametrize(("of", "path", "command"), COMMANDS)
def test_a_text_or_a_path_says_what_is_meant(
    of: typer.Typer, path: tuple[str, ...], command: Any
) -> None:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    assert not [param.name for param in arguments if not param.metavar]
    rows = [line for line in shown_help(of, path).splitlines() if re.match(r"│[ *]+--", line)]
    assert rows
    assert not [row for row in rows if BARE_TYPE.search(row)]


@pytest.mark.parametrize(("of", "path", "command"), COMMANDS)
def test_no_help_speaks_of_the_code(of: typer.Typer, path: tuple[str, ...], command: Any) -> None:
    shown = shown_help(of, path)
    assert not set(re.findall(r"\w+", shown)) & names_of_classes()
    assert not re.search(r"\bdetector\.\w", shown)
    assert "Args:" not in shown


def names_of_classes() -> set[str]:
    """The classes of the package whose names are no word of English."""
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "src").rglob("*.py")]
    names = {
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
    return {name for name in names if re.search(r"[a-z][A-Z]", name)}


def test_a_name_of_the_code_would_be_found() -> None:
    assert {"SweepOutcome", "HeldTrial"} <= names_of_classes()
    assert BARE_TYPE.search("│ --host   <str>  The address")
    assert not BARE_TYPE.search("│ --host   ADDRESS  The address")
