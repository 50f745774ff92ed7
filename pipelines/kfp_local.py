"""What of kfp.local is replaced, and what it has to look like.

kfp.local has no setting for any of it: it prints a page of its own around each step, shares no
cores or GPUs out, starts a failed step again whatever the reason, leaves its children behind when
it is killed, and runs two iterations of a loop at once. All of this is internal to kfp, so
pyproject.toml pins its minor version, and `check_kfp` says which part is another by now.
"""

import builtins
import contextlib
import inspect
import io
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import kfp
from kfp import local
from kfp.dsl.component_factory import EXECUTOR_MODULE
from kfp.local import subprocess_task_handler
from kfp.local.orchestrator import enhanced_dag_orchestrator

from detector.errors import DetsweepError

KFP = "2.17"
"""The minor version whose internals these are."""

RunStep = Callable[[Sequence[str], Mapping[str, str] | None], int]
"""Runs a step's command in an environment to its end; its exit code."""


@dataclass(frozen=True)
class Internal:
    """Something of kfp.local that is replaced while a pipeline runs.

    Attributes:
        parameters: that kfp calls it with, in order.
        sets: attributes of what it makes that are set.
        what_for: why it is replaced.
    """

    module: ModuleType
    name: str
    parameters: tuple[str, ...]
    what_for: str
    sets: tuple[str, ...] = ()

    def problem(self) -> str | None:
        """What is another in the installed kfp, None where it is as expected."""
        found = getattr(self.module, self.name, None)
        place = f"{self.module.__name__}.{self.name}, which {self.what_for},"
        if found is None:
            return f"{place} is gone"
        parameters = tuple(inspect.signature(found).parameters)
        if parameters != self.parameters:
            return f"{place} takes {parameters}, and {self.parameters} was expected"
        missing = [name for name in self.sets if not hasattr(found(), name)]
        return f"{place} has no {' and no '.join(missing)}" if missing else None

    @contextlib.contextmanager
    def replaced_by(self, value: object) -> Iterator[None]:
        """Put `value` in its place for a while."""
        with _replaced(self.module, self.name, value):
            yield


START_OF_A_STEP = Internal(
    subprocess_task_handler,
    "run_local_subprocess",
    ("full_command", "env_vars"),
    "starts a step's process",
)
LOOP_EXECUTOR = Internal(
    enhanced_dag_orchestrator,
    "ParallelExecutor",
    ("max_workers",),
    "runs a loop's iterations",
    sets=("max_workers", "conservative_max"),
)
INTERNALS = (START_OF_A_STEP, LOOP_EXECUTOR)


def check_kfp() -> None:
    """
    Raises:
        DetsweepError: the installed kfp is another inside.
    """
    problems = [problem for internal in INTERNALS if (problem := internal.problem())]
    if problems:
        raise DetsweepError(
            f"kfp {kfp.__version__} cannot run the pipeline here: {'; '.join(problems)}",
            remedy=f"pip install 'kfp=={KFP}.*' 'kfp-kubernetes=={KFP}.*'",
        )


@contextlib.contextmanager
def run_with(step: RunStep, width: int, folder: str) -> Iterator[None]:
    """Have pipelines that are called run on this machine.

    Args:
        step: runs each step.
        width: how many iterations of a loop run at once.
        folder: for the artifacts that steps hand over.

    Raises:
        DetsweepError: the installed kfp is another inside.
    """
    check_kfp()

    def executor() -> Any:
        made = _ParallelExecutor()
        made.max_workers = made.conservative_max = width
        return made

    with (
        _quiet(),
        START_OF_A_STEP.replaced_by(step),
        LOOP_EXECUTOR.replaced_by(executor),
    ):
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=folder)
        yield


def without_shell(command: Sequence[str]) -> list[str]:
    """A step's command as kfp.local writes it, as one that needs no shell; any other as it is."""
    if list(command[:2]) != ["sh", "-ec"] or EXECUTOR_MODULE not in command[2]:
        return list(command)
    return [sys.executable, "-m", "pipelines.kfp_step", *command[3:]]


_ParallelExecutor = enhanced_dag_orchestrator.ParallelExecutor
_EXECUTOR_LINE = re.compile(r"\[KFP Executor .*\]: ")


def without_executor_log(lines: Iterable[str]) -> Iterator[str]:
    """What a step has printed, without the lines that kfp's executor prints around it: those that
    bear its mark, and the JSON of the step's inputs, which fills many lines after one of them."""
    in_json = False
    for line in lines:
        text = line.rstrip("\n")
        if in_json:
            in_json = text != "}"
        elif mark := _EXECUTOR_LINE.match(text):
            in_json = text[mark.end() :] == "Got executor_input:"
        elif text:
            yield text


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what kfp.local prints and logs to itself, and undo what it does to print and logging
    (with two steps at once it does not undo it itself)."""
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, root.manager.disable
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
        _replaced(builtins, "print", print),
    ):
        warnings.filterwarnings("ignore", module=r"kfp\.local")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            logging.disable(disabled)
