"""Environment variables that hold no number: one line that names the variable, before any work."""

import os
import subprocess
import sys

import pytest

from detector.data.processes import Processes
from detector.environment import threads
from detector.errors import ConfigError
from detector.steps.job import Job
from tests.cli.shell import detsweep

BAD_THREADS = ["abc", "0", "-1", "1.5", "nan", "4,x", "4,,2", ",", "9" * 30, "²"]
BAD_SECONDS = ["abc", "-1", "nan", "ten"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *[("OMP_NUM_THREADS", value) for value in BAD_THREADS],
        *[("DETSWEEP_PATIENCE_SECONDS", value) for value in BAD_SECONDS],
        *[("DETSWEEP_LEASE_SECONDS", value) for value in [*BAD_SECONDS, "0", "inf"]],
        ("DETSWEEP_LOG", "loud"),
    ],
)
def test_a_bad_value_is_one_line_that_names_its_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    ended = detsweep("config", "presets")
    assert ended.code == 2
    error, remedy = ended.output.splitlines()
    assert error.startswith(f"error: {variable}: {value!r} is no ")
    assert remedy.startswith("  → give one ")


@pytest.mark.parametrize(("value", "count"), [("", None), (" ", None), ("4", 4), ("4,2", 4)])
def test_what_openmp_takes_is_taken(value: str, count: int | None) -> None:
    assert threads({"OMP_NUM_THREADS": value}) == count


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, "passive"),
        ({"OMP_WAIT_POLICY": "active"}, "active"),
        ({"GOMP_SPINCOUNT": "10"}, "None"),
    ],
)
def test_threads_that_wait_sleep_unless_a_person_wants_something_else(
    given: dict[str, str], asked: str
) -> None:
    program = "import detector, os; print(os.environ.get('OMP_WAIT_POLICY'))"
    environ = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ | given, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == asked


@pytest.mark.parametrize("variable", ["RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"])
@pytest.mark.parametrize("value", ["abc", "-1", "1.5"])
def test_the_variables_of_torchrun_are_named(variable: str, value: str) -> None:
    whole = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    with pytest.raises(ConfigError, match=rf"^{variable}: '{value}' is no whole number"):
        Processes.of_environment({**whole, variable: value})


def test_the_index_of_a_pod_is_named() -> None:
    names = ("DETSWEEP_DATA", "DETSWEEP_STORE", "DETSWEEP_BACKEND")
    with pytest.raises(ConfigError, match=r"^JOB_COMPLETION_INDEX: 'x' is no whole number"):
        Job.of_environment({**dict.fromkeys(names, "here"), "JOB_COMPLETION_INDEX": "x"})
