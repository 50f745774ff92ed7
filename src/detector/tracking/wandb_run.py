"""The process in which W&B's client runs for a training; see `wandb`. It ends by itself.

Nothing but the standard library is imported before it reads, so that the training never waits.

It reads JSON lines: first the run (`id`, `sent`, `name`, `group`, `config`), then epochs, at most
one model, and the outcome. What it prints, the training's log shows.
"""

import base64
import contextlib
import io
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from detector.storage.scratch import scratch_folder, scratch_lock

EPOCH = "epoch"
PICTURES = "validation"
"""The key of the pictures in a run's history."""
_PROJECT = "detsweep"
_BACKGROUND_S = 600.0
"""How long after the training's end sending the rest may take."""
_EXIT_CODES = {"finished": 0, "stopped": 0}


def main() -> None:
    """Track one training, from the lines on stdin."""
    inbox = _Inbox(sys.stdin.buffer)
    begun = inbox.next()
    if begun is None:
        return
    # A resumed training's process waits for the one before.
    with scratch_lock(f"wandb-{begun['id']}"):
        run = _open(begun)
        outcome = _follow(run, inbox, int(begun["sent"]))
        if run is not None:
            _try(lambda: _finish(run, outcome))


class _Inbox:
    """The lines on stdin, which are always read at once: the training never waits for W&B."""

    def __init__(self, stream: BinaryIO):
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=[stream], daemon=True).start()

    def next(self) -> dict[str, Any] | None:
        """The next message; None once the training has ended, or was killed."""
        line = self._lines.get()
        return json.loads(line) if line.endswith(b"\n") else None

    def _read(self, stream: BinaryIO) -> None:
        for line in stream:
            self._lines.put(line)
        self._lines.put(b"")
        # This process does not stay for ever, even if the client hangs.
        threading.Timer(_BACKGROUND_S, _end).start()


def _end() -> None:
    from detector.process_group import kill_own_group  # noqa: PLC0415  # takes psutil

    kill_own_group()


def _open(begun: Mapping[str, Any]) -> Any:
    """The run: at W&B, or in files if that does not answer; None where neither works."""
    try:
        run = _init(begun, mode=None)
    except Exception as error:
        _say(f"no run can be begun there, so that it is kept in files: {error}")
        try:
            _forget_the_attempt()
            run = _init(begun, mode="offline")
        except Exception as second:
            _say(f"nothing is tracked: {second}")
            return None
    if run.offline:
        _say(f"`wandb sync {Path(run.settings.sync_dir)}` sends what is tracked")
    else:
        _say(f"tracked at {run.url}")
    return run


def _forget_the_attempt() -> None:
    """Without this, the client counts the run that it could not begin as begun."""
    import wandb  # noqa: PLC0415

    wandb.teardown()


def _init(begun: Mapping[str, Any], mode: Any) -> Any:
    import wandb  # noqa: PLC0415  # takes a second or two

    return wandb.init(
        id=begun["id"],
        resume="allow",
        name=begun["name"],
        group=begun["group"],
        config=begun["config"],
        project=os.environ.get("WANDB_PROJECT", _PROJECT),
        mode=mode,
        settings=wandb.Settings(console="off", silent=True, finish_timeout=_BACKGROUND_S),
    )


def _follow(run: Any, inbox: _Inbox, sent: int) -> str:
    """Track what the training sends, until its outcome."""
    # W&B knows what it has; files do not know of those that an earlier process wrote.
    known = sent if run is None or run.offline else int(run.starting_step) - 1
    while (message := inbox.next()) is not None:
        if "outcome" in message:
            return str(message["outcome"])
        if "model" in message:
            _try(partial(_log_whole, run, message))
        elif run is not None and message["epoch"] > known:
            known = message["epoch"]
            _try(partial(_log_epoch, run, message))
    return "killed"


def _log_whole(run: Any, message: Mapping[str, Any]) -> None:
    if run is None:
        return
    with scratch_folder("wandb") as scratch:
        model = scratch / message["model"]
        model.write_bytes(base64.b64decode(message["content"]))
        log_model(run, model)


def _log_epoch(run: Any, message: Mapping[str, Any]) -> None:
    pictures = {caption: base64.b64decode(jpeg) for caption, jpeg in message["pictures"].items()}
    epoch = message["epoch"]
    run.log({EPOCH: epoch, **message["values"], **as_images(pictures)}, step=epoch)


def as_images(pictures: Mapping[str, bytes]) -> dict[str, list[Any]]:
    """JPEGs by caption, as a part of what `Run.log` takes."""
    import wandb  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    images = [
        wandb.Image(Image.open(io.BytesIO(jpeg)), caption=caption, file_type="jpg")
        for caption, jpeg in pictures.items()
    ]
    return {PICTURES: images} if images else {}


def log_model(run: Any, path: Path) -> None:
    """Keep an ONNX file as an artifact of the run."""
    import wandb  # noqa: PLC0415

    artifact = wandb.Artifact(f"model-{run.id}", type="model")
    artifact.add_file(str(path))
    run.log_artifact(artifact)


def _finish(run: Any, outcome: str) -> None:
    if outcome == "preempted":
        run.mark_preempting()
    run.finish(exit_code=_EXIT_CODES.get(outcome, 1))


def _try(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception as error:  # the client raises errors of many kinds
        _say(f"{type(error).__name__}: {error}")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the training has ended
        print(line, flush=True)


if __name__ == "__main__":
    main()
