"""W&B as a tracker. Its client runs in a process of its own (`wandb_run`).

So a server that is away or hangs, a full disk or a crash of the client only affect that process.
The training writes lines into a pipe, which takes no time as long as they are read. If they are not
read for a while, it stops tracking. A trial of a sweep at W&B (`wandb://`) is a run of this process
already: its training is logged into that run.

The API key comes from the environment, as do the project (`WANDB_PROJECT`), `WANDB_ENTITY`,
`WANDB_MODE`, `WANDB_DIR` and all else that the client reads there.
"""

import atexit
import base64
import contextlib
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from detector.config.schema import Config
from detector.console import say
from detector.process_group import OWN_GROUP
from detector.storage.atomic import write_atomically
from detector.tracking.tracker import Outcome, Pictures, Tracker
from detector.tracking.wandb_run import as_images, log_model

STATE = "wandb.json"

_SEND_S = 5.0
"""How long the pipe may stay full before tracking is given up."""
_GOODBYE_S = 20.0
"""How long this process waits, at its end, for W&B to take the rest."""

_children: list[subprocess.Popen[bytes]] = []


def wandb_tracker(config: Config, run_dir: Path, name: str, group: str) -> Tracker:
    """A tracker; see `detector.tracking.tracker.open_tracker`."""
    running = getattr(sys.modules.get("wandb"), "run", None)
    if running is not None:
        return _TrackerInRun(running, config)
    return _TrackerInProcess(config, run_dir, name, group)


def wait_for_trackers(seconds: float) -> bool:
    """Wait until everything has arrived; False where it has not by then, and is still being sent
    in the background."""
    until = time.monotonic() + seconds
    for child in _children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, until - time.monotonic()))
    _children[:] = [child for child in _children if child.poll() is None]
    return not _children


@atexit.register
def _say_goodbye() -> None:
    if not wait_for_trackers(_GOODBYE_S):
        say("W&B has not taken everything yet: the rest is sent in the background")


@dataclass
class _State:
    """What a training keeps of its W&B run, in its folder.

    Attributes:
        id: of the run.
        sent: the last epoch that was sent there.
    """

    id: str
    sent: int = 0

    @classmethod
    def of(cls, run_dir: Path) -> "_State":
        try:
            tree = json.loads((run_dir / STATE).read_text(encoding="utf-8"))
            # "told" in folders of version 0.1.0.
            return cls(tree["id"], tree["sent"] if "sent" in tree else tree["told"])
        except (OSError, ValueError, TypeError, KeyError):
            return cls(secrets.token_hex(4))

    def keep(self, run_dir: Path) -> None:
        write_atomically(run_dir / STATE, json.dumps(asdict(self)).encode())


class _TrackerInProcess:
    """Sends to a process of `wandb_run`."""

    def __init__(self, config: Config, run_dir: Path, name: str, group: str):
        self._dir, self._state = run_dir, _State.of(run_dir)
        self._is_open = False
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            self._state.keep(run_dir)
            # In a session of its own, so that what ends this process lets it end in good order.
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "detector.tracking.wandb_run"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # the client has logs of its own
                start_new_session=True,
                creationflags=OWN_GROUP,
                env={**os.environ, "WANDB_SILENT": "true"},
            )
        except OSError as error:
            say(f"W&B: nothing is tracked: {error}")
            return
        assert self._child.stdin is not None
        self._pipe = _Pipe(self._child.stdin)
        wait_for_trackers(0)  # an agent has one child after the other
        _children.append(self._child)
        self._is_open = True
        threading.Thread(target=self._pass_on, name="words of W&B", daemon=True).start()
        begun = {"name": name, "group": group, "config": config.to_dict()}
        self._send({**asdict(self._state), **begun})

    def epoch(
        self, epoch: int, values: Mapping[str, float], pictures: Pictures | None = None
    ) -> None:
        is_new = epoch > self._state.sent
        drawn = _draw(pictures) if pictures and is_new and self._is_open else {}
        encoded = {caption: base64.b64encode(jpeg).decode() for caption, jpeg in drawn.items()}
        self._send({"epoch": epoch, "values": dict(values), "pictures": encoded})
        if is_new and self._is_open:
            self._state.sent = epoch
            with contextlib.suppress(OSError):  # a full disk; W&B itself knows what it has
                self._state.keep(self._dir)

    def model(self, export: Callable[[], Path]) -> None:
        if self._is_open:
            _try(lambda: self._send(_whole(export())))

    def end(self, outcome: Outcome) -> None:
        self._send({"outcome": outcome})
        self._close()

    def _send(self, message: Mapping[str, Any]) -> None:
        if not self._is_open:
            return
        try:
            self._pipe.write_within(json.dumps(message).encode() + b"\n", _SEND_S)
        except OSError as error:
            say(f"W&B: nothing more is tracked: {error}")
            self._close()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._pipe.close()

    def _pass_on(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            say(f"W&B: {line.decode(errors='replace').rstrip()}")


class _TrackerInRun:
    """Logs into the run that this process has at W&B, and leaves its end to who began it."""

    def __init__(self, run: Any, config: Config):
        self._run = run
        self._known = int(run.starting_step) - 1
        _try(lambda: run.config.update(config.to_dict(), allow_val_change=True))

    def epoch(
        self, epoch: int, values: Mapping[str, float], pictures: Pictures | None = None
    ) -> None:
        if epoch > self._known:
            shown = _draw(pictures) if pictures else {}
            _try(lambda: self._run.log({**values, **as_images(shown)}, step=epoch))
            self._known = epoch

    def model(self, export: Callable[[], Path]) -> None:
        _try(lambda: log_model(self._run, export()))

    def end(self, outcome: Outcome) -> None:
        pass


def _whole(model: Path) -> Mapping[str, Any]:
    """The file itself for the other process: the training's folder may soon be gone."""
    return {"model": model.name, "content": base64.b64encode(model.read_bytes()).decode()}


def _draw(pictures: Pictures) -> Mapping[str, bytes]:
    drawn: list[Mapping[str, bytes]] = []
    _try(lambda: drawn.append(pictures()))
    return drawn[0] if drawn else {}


def _try(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception as error:  # the training goes on, with any error of the client
        say(f"W&B: {type(error).__name__}: {error}")


class _Pipe:
    """The way to the other process, written to by a thread of its own: who does not read it keeps
    nobody waiting."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._written: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="lines to W&B", daemon=True).start()

    def write_within(self, line: bytes, seconds: float) -> None:
        """
        Raises:
            TimeoutError: it is not read. Nothing may be written after that.
            OSError: nobody reads it any more.
        """
        self._lines.put(line)
        try:
            error = self._written.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"its process takes nothing for {seconds:.0f} s") from None
        if error is not None:
            raise error

    def close(self) -> None:
        """Close it after what is being written."""
        self._lines.put(None)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line)
                self._stream.flush()
            except OSError as error:
                self._written.put(error)
            else:
                self._written.put(None)
        with contextlib.suppress(OSError):  # What could not be written is tried again.
            self._stream.close()
