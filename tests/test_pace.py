"""Work that takes long says how far it is; short work says nothing."""

import pytest

from detector.pace import Pace, paced


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
        pace(f"epoch {epoch}", done, steps)
        clock.now += each_s


def test_a_long_epoch_prints_four_lines_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    walk(Pace("step", clock), clock, epoch=3, steps=20, each_s=3.0)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 3 · step 5 of 20, about 45 s left",
        "epoch 3 · step 10 of 20, about 30 s left",
        "epoch 3 · step 15 of 20, about 15 s left",
    ]


def test_short_epochs_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    pace = Pace("step", clock)
    for epoch in range(1, 30):
        walk(pace, clock, epoch=epoch, steps=14, each_s=1.0)
    assert capsys.readouterr().out == ""


def test_a_resumed_epoch_is_judged_by_the_steps_since(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    walk(Pace("step", clock), clock, epoch=1, steps=20, each_s=7.5, start=16)
    assert capsys.readouterr().out == "epoch 1 · step 18 of 20, about 15 s left\n"


def test_items_are_given_in_order_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    given = []
    for item in paced("abcd", "measuring x", clock=clock):
        given.append(item)
        clock.now += 15.0
    assert given == ["a", "b", "c", "d"]
    assert capsys.readouterr().out.splitlines() == [
        "measuring x · page 1 of 4, about 45 s left",
        "measuring x · page 2 of 4, about 30 s left",
        "measuring x · page 3 of 4, about 15 s left",
    ]
