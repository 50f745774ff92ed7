import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from detector.errors import SweepError
from detector.sweepfile.command import (
    ARGUMENT_MACROS,
    DEFAULT_COMMAND,
    build_argv,
    is_detector,
    nested,
)

PARAMS = {"lr": 1e-05, "amp": True, "ema": False, "net": {"width": 32}}


def argv(
    *command: str, program: str = "train.py", environ: dict[str, str] | None = None
) -> list[str]:
    return build_argv(command, program, PARAMS, Path("params.json"), environ or {})


def test_without_a_command_the_program_is_run_by_python_with_its_parameters_as_flags() -> None:
    words = argv(*DEFAULT_COMMAND)
    assert words[:3] == ["/usr/bin/env", sys.executable, "train.py"]
    assert words[3:] == ["--lr=1e-05", "--amp=True", "--ema=False", "--net={'width': 32}"]


@pytest.mark.parametrize(
    ("macro", "words"),
    [
        ("${args_no_hyphens}", ["lr=1e-05", "amp=True", "ema=False", "net={'width': 32}"]),
        ("${args_no_boolean_flags}", ["--lr=1e-05", "--amp", "--net={'width': 32}"]),
        (
            "${args_no_equals}",
            ["--lr", "1e-05", "--amp", "True", "--ema", "False", "--net", "{'width': 32}"],
        ),
        ("${args_append_hydra}", ["+lr=1e-05", "+amp=True", "+ema=False", "+net={'width': 32}"]),
        (
            "${args_override_hydra}",
            ["++lr=1e-05", "++amp=True", "++ema=False", "++net={'width': 32}"],
        ),
        ("${args_json_file}", ["params.json"]),
        ("${program}", ["train.py"]),
    ],
)
def test_each_macro_has_its_form(macro: str, words: list[str]) -> None:
    assert argv(macro) == words


def test_args_json_is_one_word_that_holds_every_parameter() -> None:
    (word,) = argv("${args_json}")
    assert json.loads(word) == PARAMS


def test_an_environment_variable_may_be_part_of_a_word() -> None:
    assert argv("--out=${envvar:OUT}/run", environ={"OUT": "/data"}) == ["--out=/data/run"]


def test_an_environment_variable_that_is_not_set_is_an_error() -> None:
    with pytest.raises(SweepError, match="variable OUT is not set"):
        argv("${envvar:OUT}")


def test_an_unknown_macro_is_an_error() -> None:
    with pytest.raises(SweepError, match="there is no macro"):
        argv("${argz}")


def test_parameters_are_handed_over_as_the_file_nests_them() -> None:
    params = {"net.width": 32, "net.depth": 4, "opt.lr": 0.1}
    paths = {"net.width": ("net", "width"), "net.depth": ("net", "depth"), "opt.lr": ("opt.lr",)}
    assert nested(params, paths) == {"net": {"width": 32, "depth": 4}, "opt.lr": 0.1}


@pytest.mark.parametrize(
    ("command", "program", "expected"),
    [
        (None, None, True),
        (None, "detsweep", True),
        (None, "train.py", False),
        (["${env}", "detsweep", "train", "${args_no_hyphens}"], None, True),
        (["${interpreter}", "${program}"], "train.py", False),
        (["torchrun", "train.py"], None, False),
    ],
)
def test_a_file_means_the_detector_unless_it_names_another_program(
    command: list[str] | None, program: str | None, expected: bool
) -> None:
    assert is_detector(command, program) is expected


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True),
        st.one_of(
            st.booleans(),
            st.none(),
            st.integers(),
            st.floats(allow_nan=False),
            st.text(max_size=5),
            st.lists(st.integers(), max_size=3),
            st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        ),
        max_size=4,
    ),
    st.sampled_from([macro for macro in ARGUMENT_MACROS if macro != "args_json_file"]),
)
def test_arguments_are_those_of_the_agent_of_wandb(params: dict[str, Any], macro: str) -> None:
    words = create_sweep_command_args({"args": {k: {"value": v} for k, v in params.items()}})
    assert build_argv([f"${{{macro}}}"], None, params, Path("p.json"), {}) == words[macro]
