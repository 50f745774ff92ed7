"""What the tests of `detector.steps.child` have done in a child: it has to be importable there."""

import os
import signal
import time
from pathlib import Path

from detector.errors import ConfigError, PreemptedError
from detector.steps.child import Progress, say_to_parent
from detector.sweep.agent import AgentEvent
from tests.signals import KILL


def add(a: int, b: int) -> int:
    return a + b


def refuse() -> None:
    raise ConfigError("no such key", where="models.lr", remedy="give another")


def die_at_first(marks: Path, signum: int) -> str:
    """End by a signal, but for the second time."""
    attempt = len(list(marks.iterdir()))
    (marks / str(attempt)).touch()
    if attempt == 0:
        os.kill(os.getpid(), signum)
        time.sleep(30)
    return f"attempt {attempt}"


def die(advances: int, marks: Path) -> None:
    """End without a result, after an epoch for the first `advances` times."""
    attempt = len(list(marks.iterdir()))
    (marks / str(attempt)).touch()
    if attempt < advances:
        say_to_parent(Progress())
    os.kill(os.getpid(), KILL)


def hold_and_wait(trial: int, attempt: int, ready: Path) -> None:
    """Hold a trial for ever, as a training that ignores SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say_to_parent(AgentEvent("agent-1", "started", "started", trial, attempt))
    ready.touch()
    time.sleep(60)


def end_in_good_order(ready: Path) -> None:
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    ready.touch()
    while not ended:
        time.sleep(0.01)
    raise PreemptedError("asked to end")


def finish_when_asked_to_end(ready: Path) -> str:
    """As a training that SIGTERM finds in its last epoch."""
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    ready.touch()
    while not asked:
        time.sleep(0.01)
    return "trained"


def ask_oneself_to_end(marks: Path) -> str:
    """As where a notice of preemption reaches the child alone."""
    attempt = len(list(marks.iterdir()))
    (marks / str(attempt)).touch()
    if attempt == 0:
        raise PreemptedError("asked to end")
    return "done"


def fill_memory(cgroup: Path, mark: Path) -> str:
    """Use up what the folder of a control group says there is, at the first time."""
    if mark.exists():
        return "done with less"
    mark.touch()
    (cgroup / "memory.stat").write_text("anon 990\nfile 5000\nshmem 0\n", encoding="utf-8")
    time.sleep(30)
    return "never"


def outlive(pid_file: Path) -> None:
    pid_file.write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(60)
