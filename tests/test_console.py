"""What is printed, and what becomes of a process that nobody listens to."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from detector.cli.progress import counting, spinning, with_bar
from detector.console import LOG, log_line, narrow_table, plain_console, plain_errors, say
from detector.errors import ConfigError, DetsweepError, StorageLostError, StoreLostError
from detector.sweep.opening import open_backend
from detector.sweepfile.spec import read_sweep
from tests.tiny_run import SWEEP

DETSWEEP = Path(sys.executable).with_name("detsweep")


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


STARTED = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
"""The environment of a process whose starter did not say how to print."""


def spoken(line: str, monkeypatch: pytest.MonkeyPatch, style: str) -> str | None:
    monkeypatch.setenv(LOG, style)
    return log_line(line, step="agent 1")


@pytest.mark.parametrize(
    ("refused", "said", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.ckpt"), "a.ckpt: No space left", 75),
        (PermissionError(errno.EACCES, "Permission denied", "b"), "check who may read and", 2),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "c"), "name a file in place of", 2),
        (OSError("something else"), "error: something else", 2),
    ],
)
def test_what_the_system_refuses_is_a_line_with_the_file(
    refused: OSError, said: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_, plain_errors():
        raise refused
    assert exit_.value.code == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("lost", [StorageLostError("no answer"), StoreLostError("no answer")])
def test_what_did_not_come_back_ends_a_command_with_a_code_of_its_own(
    lost: DetsweepError, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_, plain_errors():
        raise lost
    assert exit_.value.code == 75
    assert capsys.readouterr().err == "error: no answer\n"


def test_a_reader_that_has_left_is_not_an_error_of_a_file() -> None:
    with pytest.raises(BrokenPipeError), plain_errors():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_lines_are_plain_timed_or_json(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spoken("epoch 1/2", monkeypatch, "plain") == "agent 1 │ epoch 1/2"
    timed = spoken("epoch 1/2", monkeypatch, "timed")
    assert timed is not None
    assert re.fullmatch(r"\d\d:\d\d:\d\d agent 1 │ epoch 1/2", timed)
    as_json = json.loads(spoken("epoch 1/2", monkeypatch, "json") or "")
    assert datetime.fromisoformat(as_json.pop("time")).tzinfo is not None
    assert as_json == {"level": "info", "step": "agent 1", "message": "epoch 1/2"}


def test_quiet_leaves_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spoken("epoch 1/2", monkeypatch, "quiet") is None
    warning = spoken("warning: nothing is found", monkeypatch, "quiet")
    assert warning == "agent 1 │ warning: nothing is found"


def test_a_style_that_nobody_knows_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spoken("epoch 1/2", monkeypatch, "loud") == "agent 1 │ epoch 1/2"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ([], r"\d\d:\d\d:\d\d the report is in .*"),
        (["--json-log"], r'{"time": .*"message": "the report is in .*"}'),
        (["--quiet"], ""),
    ],
)
def test_a_command_s_progress_is_printed_as_asked(
    option: list[str], expected: str, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path}/sweep.db"
    sweep = open_backend(database).create(read_sweep(SWEEP, "test"))
    command = [DETSWEEP, *option, "sweep", "report", sweep.id, "--backend", database]
    done = subprocess.run(
        list(map(str, [*command, "--out", tmp_path / "report.html"])),
        env=STARTED,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert re.fullmatch(expected, done.stdout.strip()), done.stdout


def test_an_error_is_json_too_where_the_log_is() -> None:
    done = subprocess.run(
        [DETSWEEP, "--json-log", "config", "show", "trainer.max_epoch=3"],
        env=STARTED,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 2
    said = json.loads(done.stderr)
    assert said["level"] == "error"
    assert said["message"].startswith("error: trainer.max_epoch: no such configuration key")


def test_a_letter_that_the_console_lacks_fails_nothing() -> None:
    script = "from detector.console import *; print_what_no_one_can_encode(); say('agent \u2502 1')"
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stdout.split() == [b"agent", b"?", b"1"]


@pytest.mark.parametrize("name", ["[bold]", "[/]", "[red", "[/bold]", ":dog:", "[link=x]y[/link]"])
def test_text_is_printed_as_it_is(name: str) -> None:
    printed = io.StringIO()
    console = plain_console(file=printed, width=80)
    table = narrow_table(f"title {name}")
    table.add_column(f"column {name}")
    table.add_row(f"cell {name}")
    console.print(f"line {name}", table)
    for where in ("line", "title", "column", "cell"):
        assert f"{where} {name}" in printed.getvalue()


@pytest.mark.parametrize("name", ["[bold]", "[/]", "[/bold]", ":dog:"])
def test_a_bar_and_what_turns_bear_text_as_it_is(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    with spinning(f"reading {name}"):
        pass
    with counting(f"counting {name}") as show:
        show(1, 2)
    list(with_bar([1], f"seeing {name}"))
    said = capsys.readouterr().err
    for what in ("reading", "counting", "seeing"):
        assert f"{what} {name}" in said


def test_every_console_prints_text_as_it_is() -> None:
    root = Path(__file__).parents[1]
    code = {
        file.name: file.read_text("utf-8")
        for place in ("src", "pipelines", "components")
        for file in root.glob(f"{place}/**/*.py")
    }
    made = [name for name, text in code.items() if re.search(r"\bConsole\(", text)]
    assert made == ["console.py"], "by detector.console.plain_console, which knows no markup"
    assert not [name for name, text in code.items() if re.search(r"from_markup|rich\.markup", text)]
