"""`command` of a sweep file: from a trial's parameters to the words that start a program.

The macros and the form of each argument are those of the agent in wandb 0.31 (`wandb_agent.py`,
`create_sweep_command_args`), with three exceptions: `${interpreter}` is the Python that runs the
agent instead of whatever `python` is on the path, and a macro that does not exist and an
environment variable that is not set are errors, where W&B leaves out the one and puts the
variable's name for the other.
"""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from detector.errors import SweepError

DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")

ARGUMENT_MACROS = (
    "args",
    "args_no_equals",
    "args_no_hyphens",
    "args_no_boolean_flags",
    "args_json",
    "args_json_file",
    "args_append_hydra",
    "args_override_hydra",
)
"""The macros that hand a program its parameters, each in another form."""

MACROS = ("env", "interpreter", "program", *ARGUMENT_MACROS)
"""The macros that stand for a whole word, or for several. `${envvar:NAME}` may be part of one."""

_DETECTOR = "detsweep"
_MACRO = re.compile(r"\$\{(.*)\}", re.DOTALL)
_ENVIRONMENT_VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


def macro_of(word: str) -> str | None:
    """The macro that a whole word is, known or not.

    >>> macro_of("${args}"), macro_of("--out=${envvar:OUT}"), macro_of("${envvar:OUT}")
    ('args', None, None)
    """
    if _ENVIRONMENT_VARIABLE.search(word):
        return None
    match = _MACRO.fullmatch(word)
    return match[1] if match else None


def plain_words(command: Sequence[str], program: str | None) -> list[str]:
    """The words of a command that are no macros; `${program}` is what it stands for."""
    words = [program or "" if word == "${program}" else word for word in command]
    return [word for word in words if word and macro_of(word) is None]


def is_detector(command: Sequence[str] | None, program: str | None) -> bool:
    """Whether a sweep file means detsweep's own training: it says so, or it says nothing."""
    if command is None:
        return program is None or PurePath(program).name == _DETECTOR
    words = plain_words(command, program)
    return bool(words) and PurePath(words[0]).name == _DETECTOR


def nested(params: Mapping[str, object], paths: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Parameters as the file nests them, which is how W&B hands them to a program.

    >>> nested({"a.b": 1, "c.d": 2}, {"a.b": ("a", "b"), "c.d": ("c.d",)})
    {'a': {'b': 1}, 'c.d': 2}
    """
    tree: dict[str, object] = {}
    for name, value in params.items():
        *parents, leaf = paths.get(name, (name,))
        node = tree
        for parent in parents:
            child = node.setdefault(parent, {})
            assert isinstance(child, dict), "the parser refuses a name that is nested and is not"
            node = child
        node[leaf] = value
    return tree


def build_argv(
    command: Sequence[str],
    program: str | None,
    params: Mapping[str, object],
    json_file: Path,
    environ: Mapping[str, str] = os.environ,
) -> list[str]:
    """The words of a trial's command.

    Args:
        command: the file's `command`, or `DEFAULT_COMMAND`.
        program: what `${program}` stands for.
        params: a trial's values by name, nested as the file nests them.
        json_file: what `${args_json_file}` stands for; whoever runs the command writes it.
        environ: where `${envvar:NAME}` is looked up.

    >>> build_argv(["train", "${args}"], None, {"lr": 0.1, "on": True}, Path("p.json"))
    ['train', '--lr=0.1', '--on=True']

    Raises:
        SweepError: an unknown macro, or an environment variable that is not set.
    """
    replacements = {
        "env": [] if os.name == "nt" else ["/usr/bin/env"],
        "interpreter": [sys.executable],
        "program": [] if program is None else [program],
        "args_json_file": [str(json_file)],
        **_arguments(params),
    }
    argv: list[str] = []
    for word in command:
        macro = macro_of(word)
        if macro is None:
            argv.append(_with_variables(word, environ))
        elif macro in replacements:
            argv += replacements[macro]
        else:
            raise SweepError(
                f"there is no macro {word!r}",
                where="command",
                remedy=f"choose one of {', '.join(MACROS)} and envvar:NAME",
            )
    return argv


def _arguments(params: Mapping[str, object]) -> dict[str, list[str]]:
    pairs = [f"{name}={value}" for name, value in params.items()]
    return {
        "args": [f"--{pair}" for pair in pairs],
        "args_no_equals": [
            word for name, value in params.items() for word in (f"--{name}", str(value))
        ],
        "args_no_hyphens": pairs,
        "args_no_boolean_flags": [
            f"--{name}" if value is True else f"--{name}={value}"
            for name, value in params.items()
            if value is not False
        ],
        "args_json": [json.dumps(params)],
        "args_append_hydra": [f"+{pair}" for pair in pairs],
        "args_override_hydra": [f"++{pair}" for pair in pairs],
    }


def _with_variables(word: str, environ: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise SweepError(
                f"the environment variable {match[1]} is not set",
                where=f"command: {word}",
                remedy="set it where the agent is started",
            )
        return environ[match[1]]

    return _ENVIRONMENT_VARIABLE.sub(value, word)
