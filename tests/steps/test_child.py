"""A step's work in a child process: what ends it, and what becomes of it then."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from detector.errors import ConfigError, PreemptedError
from detector.interrupt import ask_this_process_to_end
from detector.steps.child import Work, WorkLostError
from detector.steps.memory import Memory
from tests.signals import KILL
from tests.steps import child_work


def work(
    function: Callable[..., Any], *arguments: int | Path | Signals, **settings: Any
) -> Work[Any]:
    return Work("work", function, lambda: arguments, **settings)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.steps.child._FIRST_WAIT_S", 0.0)


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


def send_when(path: Path, signum: signal.Signals) -> None:
    """Send this process a signal once a file is there."""

    def send() -> None:
        while not path.exists():
            time.sleep(0.01)
        if signum == signal.SIGTERM:
            ask_this_process_to_end()
        else:
            os.kill(os.getpid(), signum)

    threading.Thread(target=send, daemon=True).start()


def test_the_work_is_done_in_another_process_and_its_result_handed_over() -> None:
    assert work(child_work.add, 2, 3).done() == 5
    assert work(os.getpid).done() != os.getpid()


def test_an_error_of_the_work_keeps_its_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        work(child_work.refuse).done()
    error = caught.value
    assert (error.problem, error.where, error.remedy) == (
        "no such key",
        "models.lr",
        "give another",
    )
    assert "give another" in str(error)


@pytest.mark.parametrize("signum", [KILL, signal.SIGSEGV, signal.SIGTERM])
def test_work_that_a_signal_ends_is_started_again(
    signum: Signals, marks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost: list[bool] = []
    again = work(child_work.die_at_first, marks, signum, on_loss=lost.append)
    assert again.done() == "attempt 1"
    assert lost == [False]
    assert f"work was killed by {signum.name}; started again" in capsys.readouterr().out


def test_work_that_was_asked_to_end_alone_is_started_again(
    marks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert work(child_work.ask_oneself_to_end, marks).done() == "done"
    assert "work was asked to end; started again" in capsys.readouterr().out


def test_work_that_ends_without_a_word_is_started_again(marks: Path) -> None:
    with pytest.raises(WorkLostError, match="ended with exit code 3"):
        work(os._exit, 3, losses_in_a_row=2).done()


def test_work_is_given_up_when_it_is_lost_again_and_again(marks: Path) -> None:
    with pytest.raises(WorkLostError, match=r"lost 3 times in a row, .* killed by SIGKILL"):
        work(child_work.die, 0, marks, losses_in_a_row=3).done()
    assert len(list(marks.iterdir())) == 3


def test_losses_with_progress_between_them_do_not_count(marks: Path) -> None:
    with pytest.raises(WorkLostError):
        work(child_work.die, 4, marks, losses_in_a_row=2).done()
    # Four losses each after an epoch; the last of them and the fifth make two in a row.
    assert len(list(marks.iterdir())) == 5


def test_when_the_step_is_asked_to_end_what_the_work_holds_is_released(tmp_path: Path) -> None:
    heard: list[Any] = []
    lost: list[bool] = []
    held = work(
        child_work.hold_and_wait,
        3,
        7,
        tmp_path / "ready",
        on_message=heard.append,
        on_loss=lost.append,
        grace_s=0.0,
    )
    send_when(tmp_path / "ready", signal.SIGTERM)
    with pytest.raises(PreemptedError, match="work was asked to end"):
        held.done()
    assert [(event.trial, event.attempt) for event in heard] == [(3, 7)]
    assert lost == [True]


ASKED = pytest.mark.parametrize("has_sigterm", [True, False])
"""By a signal, or as on Windows by the end of a pipe."""


@ASKED
def test_work_has_time_to_end_in_good_order(
    has_sigterm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.steps.child._HAS_SIGTERM", has_sigterm)
    send_when(tmp_path / "ready", signal.SIGTERM)
    with pytest.raises(PreemptedError):
        work(child_work.end_in_good_order, tmp_path / "ready", grace_s=30.0).done()


@ASKED
def test_sigterm_that_finds_the_work_nearly_done_is_not_lost(
    has_sigterm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.steps.child._HAS_SIGTERM", has_sigterm)
    send_when(tmp_path / "ready", signal.SIGTERM)
    with pytest.raises(PreemptedError, match="as it was done"):
        work(child_work.finish_when_asked_to_end, tmp_path / "ready", grace_s=30.0).done()


def test_work_ends_before_the_kernel_ends_the_container(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "memory.max").write_text("1000\n", encoding="utf-8")
    (tmp_path / "memory.oom.group").write_text("1\n", encoding="utf-8")
    stat = tmp_path / "memory.stat"
    roomy = "anon 100\nfile 5000\nshmem 0\n"
    stat.write_text(roomy, encoding="utf-8")
    frugal = work(
        child_work.fill_memory,
        tmp_path,
        tmp_path / "mark",
        memory=Memory.of_this_container(tmp_path),
        on_loss=lambda _: stat.write_text(roomy, encoding="utf-8"),
    )
    assert frugal.done() == "done with less"
    assert "of the container's memory was used; started again" in capsys.readouterr().out


@pytest.mark.parametrize(("limit", "group"), [("max", "1"), ("1000", "0"), (None, None)])
def test_memory_is_not_watched_where_the_kernel_spares_the_container(
    limit: str | None, group: str | None, tmp_path: Path
) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n", encoding="utf-8")
        (tmp_path / "memory.oom.group").write_text(f"{group}\n", encoding="utf-8")
    assert Memory.of_this_container(tmp_path) is None


def test_a_step_that_is_killed_leaves_no_work_behind(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from detector.steps.child import Work;"
        "from tests.steps import child_work;"
        f"Work('w', child_work.outlive, lambda: (Path({str(tmp_path / 'pid')!r}),)).done()"
    )
    step = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text(encoding="utf-8"):
        assert step.poll() is None
        time.sleep(0.02)
    child = int((tmp_path / "pid").read_text(encoding="utf-8"))
    step.kill()
    step.wait()
    while _is_alive(child):
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
