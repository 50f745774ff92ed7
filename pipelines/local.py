"""The pipeline on one machine, run by kfp.local in this Python environment.

kfp.local decides what runs when. How a step's process is started, heard and stopped is decided
here; how it takes the place of kfp.local's own start of a step, in `kfp_local`.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from detector.console import LOG, LogStyle
from detector.errors import DetsweepError
from detector.interrupt import ASKS_TO_END
from detector.process_group import OWN_GROUP, ProcessGroup, Watcher
from detector.storage.scratch import scratch_folder
from pipelines.kfp_local import run_with, without_executor_log, without_shell
from pipelines.sweep import sweep_pipeline

_GPU_STEPS = frozenset({"agent", "select", "fold"})
_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
_LOOK_S = 0.2
_CONTINUE = "the same command continues the run where it is"


class StepError(DetsweepError):
    """A step of the pipeline ended with an error, which it has printed."""

    def __init__(self, problem: str):
        super().__init__(problem, remedy=f"its own lines say why; once mended, {_CONTINUE}")


class InterruptedRunError(DetsweepError):
    """A signal has stopped the run."""

    def __init__(self, signum: signal.Signals):
        super().__init__(f"interrupted by {signum.name}", remedy=_CONTINUE)


@dataclass(frozen=True)
class Machine:
    """What the steps that run at once share.

    Attributes:
        cores: CPU cores.
        gpus: GPUs; a step gets one of them.
    """

    cores: int
    gpus: int


Process = subprocess.Popen[str]
Start = Callable[[Sequence[str], Mapping[str, str]], Process]


def start_process(command: Sequence[str], environment: Mapping[str, str]) -> Process:
    """A step's process on this machine; `environment` is added to that of this process."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        bufsize=1,
        env={**os.environ, **environment, "PYTHONIOENCODING": "utf-8"},
        # A group of its own, so that a signal reaches all that the step has started, and Ctrl-C
        # does not reach it twice.
        start_new_session=True,
        creationflags=OWN_GROUP,
    )


def start_step(command: Sequence[str], environment: Mapping[str, str]) -> Process:
    """A step's process in this Python environment."""
    return start_process(without_shell(command), {"_KFP_RUNTIME": "true", **environment})


@dataclass
class StepRunner:
    """Starts the process of each step.

    Args:
        machine: what the steps share.
        at_once: how many of a step run side by side, by its name; 1 where it is not named.
        write: takes each line that a step prints, marked with the step.
        start: starts a step's command in an environment, heard through a pipe and in a process
            group of its own.
    """

    machine: Machine
    at_once: Mapping[str, int]
    write: Callable[[str], None]
    start: Start = start_step
    _failed: list[str] = field(default_factory=list)
    _running: dict[int, ProcessGroup] = field(default_factory=dict)
    _signal: signal.Signals | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __call__(
        self, full_command: Sequence[str], env_vars: Mapping[str, str] | None = None
    ) -> int:
        """Run one step to its end.

        Raises:
            StepError: the step failed. A return code would make kfp.local start it again.
            InterruptedRunError: a signal has stopped the run.
        """
        step = _Step.of(full_command)
        self.write(f"{step.label} │ starts")
        with Watcher() as watcher:
            slot, process = self._start(step, full_command, env_vars or {})
            watcher.watch(process)
            try:
                for line in without_executor_log(process.stdout or ()):
                    self.write(f"{step.label} │ {line}")
                code = _as_a_shell_has_it(process.wait())
            finally:
                with self._lock:
                    del self._running[slot]
        self._refuse_if_stopped()
        if code != 0:
            self._failed.append(step.label)
            raise StepError(f"{step.label} failed with exit code {code}")
        return code

    def stop(self, signum: int) -> None:
        """End every step that runs, and start no more: in good order at first, at once if it is
        called again."""
        with self._lock:
            is_first, self._signal = self._signal is None, signal.Signals(signum)
            for group in self._running.values():
                if is_first:
                    group.ask_to_end()
                else:
                    group.kill()

    def raise_for(self, error: Exception) -> NoReturn:
        """Say what was behind an error of kfp.local."""
        self._refuse_if_stopped()
        if self._failed:
            raise StepError(f"failed: {', '.join(self._failed)}") from error
        raise error

    def _refuse_if_stopped(self) -> None:
        if self._signal is not None:
            raise InterruptedRunError(self._signal)

    def _start(
        self, step: "_Step", command: Sequence[str], env_vars: Mapping[str, str]
    ) -> tuple[int, Process]:
        with self._lock:
            self._refuse_if_stopped()
            slot = next(slot for slot in range(len(self._running) + 1) if slot not in self._running)
            # How many threads a pod has use for says nothing of this machine.
            of_step = {name: env_vars[name] for name in env_vars if name not in _THREAD_COUNTS}
            environment = {**of_step, **self._environment(step, slot)}
            process = self.start(command, environment)
            self._running[slot] = ProcessGroup(process)
            # A signal may have come while it was started.
            if self._signal is not None:
                self._running[slot].ask_to_end()
            return slot, process

    def _environment(self, step: "_Step", slot: int) -> dict[str, str]:
        threads = str(max(1, self.machine.cores // self.at_once.get(step.name, 1)))
        ours = {"PYTHONUNBUFFERED": "1", **dict.fromkeys(_THREAD_COUNTS, threads)}
        if step.name in _GPU_STEPS and self.machine.gpus > 1:
            ours["CUDA_VISIBLE_DEVICES"] = str(slot % self.machine.gpus)
        # What a person has set stays as it is.
        left = {name: value for name, value in ours.items() if name not in os.environ}
        # Times, and what else a log is to have, are added where all lines come together.
        return {**left, LOG: LogStyle.PLAIN}


@dataclass(frozen=True)
class _Step:
    """The step that one of kfp.local's commands runs."""

    name: str
    index: int | None

    @classmethod
    def of(cls, command: Sequence[str]) -> "_Step":
        arguments = dict(itertools.pairwise(command))
        parameters = json.loads(arguments["--executor_input"])["inputs"].get("parameterValues", {})
        index = parameters.get("index")
        return cls(arguments["--function_to_execute"], None if index is None else int(index))

    @property
    def label(self) -> str:
        name = self.name.replace("_", "-")
        return name if self.index is None else f"{name} {self.index}"


def run_pipeline(arguments: Mapping[str, object], runner: StepRunner, width: int) -> None:
    """Run the pipeline to its end; steps whose work is done already find it done.

    Args:
        arguments: the pipeline's parameters.
        runner: starts the steps.
        width: how many iterations of a loop run at once; kfp.local's own limit is 2.

    Raises:
        StepError: a step failed; it is named.
        InterruptedRunError: SIGINT or SIGTERM came, and the steps have ended.
    """
    with (
        scratch_folder("kfp") as scratch,
        _signals_to(runner.stop),
        run_with(runner, width, str(scratch)),
    ):
        try:
            _call(lambda: sweep_pipeline(**arguments))
        except RuntimeError as error:
            runner.raise_for(error)


def _as_a_shell_has_it(code: int) -> int:
    """
    >>> _as_a_shell_has_it(-9), _as_a_shell_has_it(3)
    (137, 3)
    """
    return 128 - code if code < 0 else code


def _call(function: Callable[[], None]) -> None:
    """Call it in another thread: on Windows this one hears no signal while it waits for a step."""
    with ThreadPoolExecutor(1, thread_name_prefix="pipeline") as threads:
        called = threads.submit(function)
        while not called.done():
            wait([called], timeout=_LOOK_S)
        called.result()


@contextlib.contextmanager
def _signals_to(stop: Callable[[int], None]) -> Iterator[None]:
    def handle(signum: int, _frame: FrameType | None) -> None:
        stop(signum)

    signals = (signal.SIGINT, *ASKS_TO_END)
    before = {signum: signal.signal(signum, handle) for signum in signals}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
