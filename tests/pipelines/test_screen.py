"""What is printed of a run on this machine, in a log and on a terminal."""

import io
import threading

import pytest

from detector.console import LOG
from detector.errors import StoreError
from detector.planning.forecast import Forecast
from pipelines.screen import Log, Screen, watched


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def of(total: float) -> Forecast:
    return Forecast(total, 0, 0, 4, [("trial 3", 1, total / 2)])


def test_a_log_has_the_forecast_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    log = Log(stream, clock)
    log.write("agent 1 │ trial 3 · epoch 1/4")
    for clock.now in (0.0, 5.0, 14.0, 15.0):
        log.show(of(100 - clock.now))
    assert stream.getvalue().splitlines() == [
        "agent 1 │ trial 3 · epoch 1/4",
        "run │ about 1:40 left: sweep 1:40",
        "run │ trial 3 · epoch 1/4, about 0:50 left",
        "run │ about 1:25 left: sweep 1:25",
        "run │ trial 3 · epoch 1/4, about 0:42 left",
    ]


def test_a_long_run_s_log_has_it_less_often() -> None:
    stream, clock = io.StringIO(), Clock()
    log = Log(stream, clock)
    for clock.now in range(0, 3600, 5):
        log.show(of(36_000 - clock.now))
    assert stream.getvalue().count("left: sweep") == 12


def test_a_quiet_log_has_no_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOG, "quiet")
    stream = io.StringIO()
    Log(stream).show(of(100))
    assert stream.getvalue() == ""


def test_a_terminal_keeps_the_forecast_below_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream, clock = io.StringIO(), Clock()
    with Screen(stream, clock) as screen:
        screen.show(of(100))
        clock.now = 10.0
        screen.write("agent 1 │ trial 3 · epoch 1/4")
    printed = stream.getvalue()
    assert "agent 1 │ trial 3 · epoch 1/4" in printed
    assert "about 1:30 left: sweep 1:40" in printed


def test_a_store_that_is_away_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.screen._LOOK_S", 0.01)
    looks = iter([StoreError("away", remedy="wait"), None, of(100)])
    seen = threading.Event()

    def look() -> Forecast | None:
        found = next(looks, None)
        if isinstance(found, StoreError):
            raise found
        return found

    with watched(look, lambda _: seen.set()):
        assert seen.wait(30)
