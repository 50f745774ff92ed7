"""How the processes of steps are started, heard and stopped on one machine."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from pipelines.kfp_local import without_executor_log, without_shell
from pipelines.local import (
    InterruptedRunError,
    Machine,
    Process,
    StepError,
    StepRunner,
    run_pipeline,
    start_process,
)


def command(script: str, step: str = "agent", **parameters: object) -> list[str]:
    """A step's command as kfp.local writes it, with a shell script in the place of its own."""
    executor_input = json.dumps({"inputs": {"parameterValues": parameters}})
    arguments = ["--executor_input", executor_input, "--function_to_execute", step]
    return ["sh", "-c", script, "source", *arguments]


def runner(lines: list[str], cores: int = 8, gpus: int = 0, **at_once: int) -> StepRunner:
    """Collects what steps print, without the line that says that one starts."""

    def write(line: str) -> None:
        if not line.endswith("│ starts"):
            lines.append(line)

    return StepRunner(Machine(cores, gpus), at_once, write)


def test_the_start_of_a_step_is_said_before_it_prints_anything() -> None:
    lines: list[str] = []
    StepRunner(Machine(8, 0), {}, lines.append)(command("echo one", index=3))
    assert lines == ["agent 3 │ starts", "agent 3 │ one"]


def test_lines_bear_the_name_of_their_step() -> None:
    lines: list[str] = []
    assert runner(lines)(command("echo one; echo two >&2", index=3)) == 0
    runner(lines)(command("echo three", step="sweep_init"))
    assert lines == ["agent 3 │ one", "agent 3 │ two", "sweep-init │ three"]


def test_what_kfp_prints_around_a_step_is_left_out() -> None:
    printed = """\
[KFP Executor 2026-01-01 10:00:00,000 INFO]: Looking for component `agent`
[KFP Executor 2026-01-01 10:00:00,001 INFO]: Got executor_input:
{
    "inputs": {
    }
}
epoch 1

  {
[KFP Executor 2026-01-01 10:00:09,000 INFO]: Wrote executor output file to /x.
"""
    assert list(without_executor_log(printed.splitlines(keepends=True))) == ["epoch 1", "  {"]


def test_a_failed_step_is_named_and_not_started_again() -> None:
    with pytest.raises(StepError, match="fold 2 failed with exit code 3"):
        runner([])(command("exit 3", step="fold", index=2))


def test_steps_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    lines: list[str] = []
    shared = runner(lines, cores=8, agent=3)
    shared(command("echo $OMP_NUM_THREADS", step="agent"))
    shared(command("echo $OMP_NUM_THREADS", step="ensemble"))
    assert lines == ["agent │ 2", "ensemble │ 8"]


def test_a_thread_count_that_a_person_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    lines: list[str] = []
    runner(lines, cores=8)(command("echo $OMP_NUM_THREADS"))
    assert lines == ["agent │ 5"]


def test_agents_at_once_get_a_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    lines: list[str] = []
    both = runner(lines, gpus=2, agent=2)
    # Each waits for the other's line, so that both run at once.
    threads = [
        threading.Thread(target=both, args=(command("echo $CUDA_VISIBLE_DEVICES; sleep 0.5"),))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lines) == ["agent │ 0", "agent │ 1"]


RUNS_A_STEP = """
import sys
from pipelines.local import Machine, StepRunner
StepRunner(Machine(8, 0), {}, lambda line: print(line, flush=True))(sys.argv[1:])
"""


def test_the_steps_of_a_killed_run_end_with_it() -> None:
    """By SIGKILL, which no run hears."""
    script = f"{sys.executable} -c 'import time; time.sleep(600)' & echo $!; wait"
    run = subprocess.Popen(
        [sys.executable, "-c", RUNS_A_STEP, *command(script)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert run.stdout is not None
    with run:
        assert run.stdout.readline() == "agent │ starts\n"
        child = psutil.Process(int(run.stdout.readline().split()[-1]))
        run.kill()
    _, alive = psutil.wait_procs([child], timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_signal_ends_the_steps_in_good_order_and_no_other_is_started() -> None:
    lines: list[str] = []
    stopped = runner(lines)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            stopped(command("trap 'echo saved; exit 0' TERM; echo ready; sleep 60 & wait"))
        except InterruptedRunError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not lines:
        time.sleep(0.01)
    stopped.stop(signal.SIGINT)
    thread.join()
    assert lines == ["agent │ ready", "agent │ saved"]
    assert "SIGINT" in str(errors[0])
    with pytest.raises(InterruptedRunError):
        stopped(command("echo never"))


def test_a_second_signal_ends_a_step_that_does_not_heed_the_first() -> None:
    lines: list[str] = []
    stubborn = runner(lines)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            stubborn(command("trap '' TERM; echo ready; while true; do sleep 1; done"))
        except InterruptedRunError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not lines:
        time.sleep(0.01)
    stubborn.stop(signal.SIGTERM)
    stubborn.stop(signal.SIGTERM)
    thread.join()
    assert len(errors) == 1


SOURCE = """
from kfp import dsl
from kfp.dsl import *
from typing import *

def greet(name: str) -> str:
    print(f"{name}: é │ …")
    return name
"""
AS_KFP_HAS_IT = (
    'program_path=$(mktemp -d)\n\nprintf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
    "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main --component_module_path "
    '"$program_path/ephemeral_component.py" "$@"\n'
)


def test_a_component_runs_without_a_shell_and_prints_any_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "with a space" / "executor_output.json"
    executor_input = {
        "inputs": {"parameterValues": {"name": "Zoë"}},
        "outputs": {
            "parameters": {"Output": {"outputFile": str(tmp_path / "Output")}},
            "outputFile": str(output),
        },
    }
    command = ["sh", "-ec", AS_KFP_HAS_IT, SOURCE]
    command += ["--executor_input", json.dumps(executor_input), "--function_to_execute", "greet"]
    assert "sh" not in without_shell(command)
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    lines: list[str] = []
    assert runner(lines)(command) == 0
    assert lines == ["greet │ Zoë: é │ …"]
    handed_over = json.loads(output.read_text(encoding="utf-8"))["parameterValues"]
    assert handed_over == {"Output": "Zoë"}


def test_the_command_of_kfp_is_the_one_that_needs_no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Sequence[str]] = []

    def start(command: Sequence[str], environment: Mapping[str, str]) -> Process:
        started.append(command)
        return start_process([sys.executable, "-c", "raise SystemExit(1)"], environment)

    arguments = {
        "data": "d",
        "sweep_yaml": "",
        "store_url": str(Path.cwd()),
        "backend_url": "sqlite:///a.db",
    }
    with pytest.raises(StepError):
        run_pipeline(arguments, StepRunner(Machine(1, 0), {}, print, start), 1)
    assert [without_shell(command)[:3] for command in started] == [
        [sys.executable, "-m", "pipelines.kfp_step"]
    ]
