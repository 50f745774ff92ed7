"""Trials that are runs of a program of the user's own: the `command` of the sweep file.

The program reports its epochs through `detector.sweep.log`, through `wandb.log` or by writing the
file that `DETSWEEP_METRICS` names (see `reporting`), and is ended with SIGTERM when its trial is to
stop. What it prints goes to `output.log` in the trial's folder, what it reports to `metrics.jsonl`.
"""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import yaml

from detector.config.metrics import HISTORY
from detector.errors import TrainingError
from detector.interrupt import Interrupt, catch_sigterm
from detector.process_group import OWN_GROUP, ProcessGroup, Watcher
from detector.storage.atomic import write_atomically
from detector.sweep.protocol import Sweep
from detector.sweep.reporting import (
    METRICS_FILE,
    MetricsReader,
    ReportedEpoch,
    read_history,
    write_history,
)
from detector.sweep.trial import Objective, TrialEnd, TrialHandle
from detector.sweepfile.command import DEFAULT_COMMAND, build_argv, nested
from detector.sweepfile.spec import SweepSpec

KILL_DELAY_S = 30.0
"""Between SIGTERM and SIGKILL, as W&B's agent has it."""

_POLL_S = 0.1
_BRIDGE = Path(__file__).parent / "wandb_bridge"

TrialFolder = Callable[[TrialHandle], AbstractContextManager[Path]]
"""Opens the local folder of an attempt at a trial. What lay there is there again in the next one,
after a takeover too."""


def program_objective(
    sweep: Sweep, folder: TrialFolder, kill_delay_s: float = KILL_DELAY_S
) -> Objective:
    """An objective that runs the program of a sweep file once for each trial.

    Beside the environment of the agent the program gets `DETSWEEP_METRICS`, `DETSWEEP_SWEEP_ID`,
    `DETSWEEP_TRIAL` (the number), `DETSWEEP_TRIAL_DIR` (the folder, for checkpoints), and what
    wandb reads of a sweep, so that `wandb.config` holds the parameters. wandb logs offline unless
    `WANDB_MODE` is set.

    Returns:
        An objective that returns "preempted" where SIGTERM asked this process to end, which
        it passes on, and raises `TrainingError` where the program fails.
    """
    spec = sweep.spec

    def run(trial: TrialHandle) -> TrialEnd:
        with folder(trial) as opened, catch_sigterm() as interrupt:
            path = opened.absolute()
            metrics = path / "reported.jsonl"
            metrics.unlink(missing_ok=True)
            params = nested(trial.params, spec.paths)
            environment = _environment(sweep.id, trial.number, params, path)
            with _started(_argv(spec, params, path), environment) as child:
                reader = MetricsReader(metrics, spec.metric.name)
                return _follow(_Child(child, kill_delay_s), reader, trial, interrupt, path)

    return run


class _Child:
    """A running program and all that it started."""

    def __init__(self, process: subprocess.Popen[bytes], kill_delay_s: float):
        self._process, self._kill_delay_s = process, kill_delay_s
        self._group = ProcessGroup(process)

    def exit_code(self) -> int | None:
        return self._process.poll()

    def end(self) -> None:
        """SIGTERM, and SIGKILL to what is left after a while."""
        self._group.ask_to_end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._kill_delay_s)
        self._group.kill()
        self._process.wait()


def _follow(
    child: _Child, reader: MetricsReader, trial: TrialHandle, interrupt: Interrupt, folder: Path
) -> TrialEnd:
    try:
        history = _History(folder / HISTORY)
        while True:
            # Asked first, so that what a program wrote just before its end is still read.
            code = child.exit_code()
            epochs = list(reader.new_epochs())
            history.add(epochs)
            for reported in epochs:
                if not trial.report(reported.epoch, reported.metrics):
                    return "stopped"
            if code == 0:
                return "finished"
            if interrupt.requested:
                return "preempted"
            if code is not None:
                raise _failure(code, folder)
            time.sleep(_POLL_S)
    finally:
        child.end()


class _History:
    """The metrics of each epoch, beside those of earlier attempts. A full disk costs no trial."""

    def __init__(self, path: Path):
        self._path = path
        with contextlib.suppress(OSError):
            # What an attempt that was killed has left: a cut line, and epochs that come again.
            if path.exists():
                history = read_history(path.read_text(encoding="utf-8"))
                write_atomically(path, write_history(history).encode())

    def add(self, epochs: Sequence[ReportedEpoch]) -> None:
        """Written behind what is there: a program may report a hundred thousand."""
        if not epochs:
            return
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.writelines(write_history({e.epoch: e.metrics}) for e in epochs)
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def _started(argv: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    folder = Path(environment["DETSWEEP_TRIAL_DIR"])
    with (folder / "output.log").open("ab") as output, Watcher() as watcher:
        try:
            # A group of its own, so that the program's children end with it.
            process = subprocess.Popen(
                _required(argv),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                creationflags=OWN_GROUP,
            )
        except OSError as error:
            raise TrainingError(
                f"the program cannot be started: {error}",
                where=" ".join(argv),
                remedy="check `program` and `command` of the sweep file",
            ) from error
        watcher.watch(process)
        yield process


def _required(argv: list[str]) -> list[str]:
    """The words, if the first names a program: what starts it would say so in its own way."""
    if shutil.which(argv[0]) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    return argv


def _argv(spec: SweepSpec, params: Mapping[str, object], folder: Path) -> list[str]:
    json_file = folder / "params.json"
    json_file.write_text(json.dumps(params), encoding="utf-8")
    return build_argv(spec.command or DEFAULT_COMMAND, spec.program, params, json_file)


def _environment(
    sweep: str, trial: int, params: Mapping[str, object], folder: Path
) -> dict[str, str]:
    for_wandb = folder / "wandb.yaml"
    tree = {"wandb_version": 1, **{name: {"value": value} for name, value in params.items()}}
    for_wandb.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    behind = os.environ.get("PYTHONPATH")
    return {
        "WANDB_MODE": "offline",
        **os.environ,
        METRICS_FILE: str(folder / "reported.jsonl"),
        "DETSWEEP_SWEEP_ID": sweep,
        "DETSWEEP_TRIAL": str(trial),
        "DETSWEEP_TRIAL_DIR": str(folder),
        "WANDB_DIR": str(folder),
        "WANDB_SWEEP_ID": sweep,
        "WANDB_SWEEP_PARAM_PATH": str(for_wandb),
        "PYTHONPATH": str(_BRIDGE) if behind is None else f"{_BRIDGE}{os.pathsep}{behind}",
    }


def _failure(code: int, folder: Path) -> TrainingError:
    output = folder / "output.log"
    lines = output.read_text(encoding="utf-8", errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    ended = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
    return TrainingError(
        f"the program {ended}; the last that it printed: {said}",
        where=str(output),
        remedy="look at what it printed",
    )
