"""A service that is away is waited for; a wrong question is not asked twice."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from detector.errors import ConfigError, PreemptedError
from detector.interrupt import catch_sigterm
from detector.patience import DEFAULT_PATIENCE_S, VARIABLE, Patience, patience_seconds


def is_away(error: BaseException) -> bool:
    return isinstance(error, ConnectionError)


def answers_after(failures: int, error: Exception) -> Callable[[str], str]:
    left = [error] * failures

    def question(word: str) -> str:
        if left:
            raise left.pop()
        return word.upper()

    return question


def patience(seconds: float = 30.0) -> Patience:
    return Patience("the store s3://b", is_away, seconds, longest_wait_s=0.01)


def test_it_asks_until_there_is_an_answer_and_says_so_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert patience().ask(answers_after(5, ConnectionError("refused")), "yes") == "YES"
    waiting, back = capsys.readouterr().out.splitlines()
    assert waiting == "waiting for the store s3://b, up to 30 s: refused"
    assert back.startswith("the store s3://b answers again, after")


def test_it_says_again_now_and_then_what_it_waits_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.patience._SAY_AGAIN_S", 0.0)
    assert patience().ask(answers_after(3, ConnectionError("refused")), "yes") == "YES"
    first, *again, _ = capsys.readouterr().out.splitlines()
    assert first == "waiting for the store s3://b, up to 30 s: refused"
    assert again == ["still waiting for the store s3://b, 0 of 30 s: refused"] * 2


def test_what_took_long_before_it_failed_is_waited_for_all_the_same() -> None:
    left = [ConnectionError("cut off")]

    def copy_much() -> str:
        time.sleep(0.2)
        if left:
            raise left.pop()
        return "copied"

    assert patience(0.1).ask(copy_much) == "copied"


def test_an_answer_at_once_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert patience().ask(str.upper, "yes") == "YES"
    assert capsys.readouterr().out == ""


def test_a_wrong_question_is_not_asked_again() -> None:
    question = answers_after(1, PermissionError("no"))
    with pytest.raises(PermissionError):
        patience().ask(question, "yes")
    assert question("again") == "AGAIN"  # the one failure was used up by the one question


def test_when_the_time_is_up_the_last_error_is_raised() -> None:
    with pytest.raises(ConnectionError, match="refused"):
        patience(0.1).ask(answers_after(10**6, ConnectionError("refused")), "yes")


def test_none_at_all_asks_once() -> None:
    question = answers_after(1, ConnectionError("refused"))
    with pytest.raises(ConnectionError):
        patience(0).ask(question, "yes")
    assert question("again") == "AGAIN"


def test_sigterm_ends_the_waiting() -> None:
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
    away = Patience("the store s3://b", is_away, 600.0)
    with catch_sigterm():
        timer.start()
        with pytest.raises(PreemptedError, match="waiting for the store"):
            away.ask(answers_after(10**6, ConnectionError("refused")), "yes")


def test_one_variable_says_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert patience_seconds() == DEFAULT_PATIENCE_S
    monkeypatch.setenv(VARIABLE, "12.5")
    assert patience_seconds() == 12.5


@pytest.mark.parametrize("given", ["5m", "-1", "nan"])
def test_what_is_no_number_of_seconds_is_an_error(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(ConfigError, match=f"'{given}' is no number of seconds"):
        patience_seconds()
