"""Progress goes to stderr: what a command prints as its result stands alone on stdout."""

import pytest

from detector.cli import progress
from detector.cli.progress import counting, epoch_bar, spinning, with_bar


def test_a_log_says_what_begins_and_on_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(with_bar([1, 2], "scoring")) == [1, 2]
    assert list(with_bar(["a"], "finding text", "image")) == ["a"]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "scoring on 2 pages\nfinding text on 1 image\n"


def test_long_work_says_now_and_then_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with counting("drawing") as show:
        for done in range(1, 4):
            show(done, 3)
    assert capsys.readouterr().err == "".join(
        ["drawing\n", "drawing: 1 of 3, 0 s to go\n", "drawing: 2 of 3, 0 s to go\n"]
    )


def test_quiet_is_quiet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_LOG", "quiet")
    assert list(with_bar([1, 2], "scoring")) == [1, 2]
    with counting("drawing") as show:
        show(1, 3)
    assert capsys.readouterr().err == ""


def test_what_cannot_be_counted_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with spinning("loading torch"):
        pass
    assert capsys.readouterr().err == "loading torch\n"


def test_without_a_terminal_a_training_prints_its_own_lines() -> None:
    with epoch_bar() as on_step:
        assert on_step is None
