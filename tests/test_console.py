"""What is printed, and what becomes of a process that nobody listens to."""

import signal
import subprocess
import sys

import pytest

from detector.console import plain_errors, say
from detector.errors import ConfigError


def test_an_error_is_printed_with_its_remedy_and_without_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_, plain_errors():
        raise ConfigError("7 is too many", where="folds.count", remedy="take 5")
    assert exit_.value.code == 2
    assert capsys.readouterr().err == "error: folds.count: 7 is too many\n  → take 5\n"


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), plain_errors():
        print(1 / 0)


def test_a_line_is_seen_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    say("epoch 1/2")
    assert capsys.readouterr().out == "epoch 1/2\n"


def test_a_process_whose_listener_died_ends_as_by_sigterm() -> None:
    script = "from detector.console import say\nwhile True: say('x')"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == -signal.SIGTERM
