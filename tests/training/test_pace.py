"""Epochs that take long say how far they are; short ones say nothing."""

import pytest

from detector.training.pace import Pace


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def walk(
    pace: Pace, clock: Clock, *, epoch: int, steps: int, each_s: float, start: int = 0
) -> None:
    for done in range(start, steps + 1):
        pace(epoch, done, steps)
        clock.now += each_s


def test_a_long_epoch_prints_a_line_twice_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    walk(Pace(clock), clock, epoch=3, steps=20, each_s=6.0)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 3 · step 5 of 20, about 90 s left",
        "epoch 3 · step 10 of 20, about 60 s left",
        "epoch 3 · step 15 of 20, about 30 s left",
    ]


def test_short_epochs_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    pace = Pace(clock)
    for epoch in range(1, 30):
        walk(pace, clock, epoch=epoch, steps=20, each_s=1.0)
    assert capsys.readouterr().out == ""


def test_a_resumed_epoch_is_judged_by_the_steps_since(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    walk(Pace(clock), clock, epoch=1, steps=20, each_s=15.0, start=16)
    assert capsys.readouterr().out == "epoch 1 · step 18 of 20, about 30 s left\n"
