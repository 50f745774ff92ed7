"""No password is printed, raised, kept in a file or handed on, whatever fails."""

import contextlib
import io
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector.cli import main
from detector.console import plain_errors, say
from detector.data.source import fetch
from detector.errors import DetsweepError, StoreError
from detector.redacting import redact, shown_url
from detector.steps.run import Run
from detector.sweep.agent import run_agent
from detector.sweep.opening import open_backend
from detector.sweep.trial import TrialEnd, TrialHandle
from detector.sweepfile.spec import read_sweep
from pipelines.submit.options import _check_backend
from tests.ports import free_port

SECRET = "hunter2"
SWEEP = """\
method: grid
program: train.py
metric: {name: loss, goal: minimize}
parameters: {width: {values: [8, 4]}}
"""
URLS = [
    "postgresql://me:hunter2@127.0.0.1:PORT/sweeps",
    "postgresql://me:hun@ter2hunter2@127.0.0.1:PORT/sweeps",
    "postgresql://me:hunter2 hunter2@127.0.0.1:PORT/sweeps",
    "postgresql://127.0.0.1:PORT/sweeps?user=me&password=hunter2",
    "postgresql+nodriver://me:hunter2@127.0.0.1:PORT/sweeps",
    "postgresql:/me:hunter2@127.0.0.1:PORT/sweeps",
    "postgres://me:hunter2@127.0.0.1:PORT/sweeps",
    "postgresql://me:hunter2@127.0.0.1:port/sweeps",
    "postgresql://me:hunter2@[::1/sweeps",
    "me:hunter2@127.0.0.1/sweeps",
    "grpc://me:hunter2@127.0.0.1:PORT",
    "wandb://me:hunter2@entity/project",
    "sqlite:///nowhere/\0?password=hunter2",
]
WORDS = [
    ["init", "sweep.yaml", "--store", "run"],
    ["agent", "abc", "--store", "run"],
    ["status", "abc"],
    ["best", "abc"],
    ["report", "abc"],
]


@pytest.mark.parametrize("backend", URLS)
def test_no_command_shows_the_password_of_a_backend_that_fails(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DETSWEEP_PATIENCE_SECONDS", "0")
    monkeypatch.setattr("detector.cli.sweep.SHORT_PATIENCE_S", 0)
    monkeypatch.setattr("detector.sweep.opening.open_backend.__defaults__", (None, 0))
    (tmp_path / "sweep.yaml").write_text(SWEEP, encoding="utf-8")
    # A server that does not answer is waited for some seconds by each command.
    is_waited_for = "PORT" in backend and backend != URLS[0]
    for words in WORDS[:1] if is_waited_for else WORDS:
        given = ["sweep", *words, "--backend", backend.replace("PORT", str(free_port()))]
        result = CliRunner().invoke(main.app, given)
        assert result.exit_code != 0
        assert result.exc_info is not None
        shown = result.output + "".join(traceback.format_exception(*result.exc_info))
        assert SECRET not in shown, words
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes()


def test_the_next_command_is_shown_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text(SWEEP, encoding="utf-8")
    words = ["sweep", "init", "sweep.yaml", "--store", "run", "--backend", postgresql_url]
    result = CliRunner().invoke(main.app, words, catch_exceptions=False)
    assert "detsweep sweep agent" in result.output
    assert "s3cret" not in result.output
    assert "list of processes" in result.output
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or b"s3cret" not in file.read_bytes()


@pytest.mark.parametrize("place", ["s3://key:hunter2@bucket/run", "https://me:hunter2@host/run"])
def test_a_place_with_a_password_is_refused_without_showing_it(place: str) -> None:
    for opened in (Run, fetch):
        with pytest.raises(DetsweepError) as raised:
            opened(place)
        assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_a_pipeline_takes_no_password_as_a_parameter() -> None:
    with pytest.raises(DetsweepError, match="password") as raised:
        _check_backend("postgresql://me:hunter2@db/sweeps")
    assert SECRET not in str(raised.value)


def test_every_error_and_line_of_progress_hides_passwords(
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = "https://me:hunter2@host/x"
    error = StoreError(f"cannot reach {url}", where=url, remedy=f"look at {url}")
    assert SECRET not in f"{error} {error.problem} {error.where} {error.remedy}"
    say(f"waiting for {url}")
    assert SECRET not in capsys.readouterr().out


def test_an_error_that_nobody_foresaw_is_printed_without_passwords(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(RuntimeError) as raised, plain_errors():
        raise RuntimeError("cannot reach postgresql://me:hunter2@host/x")
    sys.excepthook(raised.type, raised.value, raised.tb)
    said = capsys.readouterr().err
    assert "RuntimeError: cannot reach postgresql://me:***@host/x" in said
    assert "Traceback" in said


def test_the_reason_of_a_failed_trial_is_kept_without_passwords(tmp_path: Path) -> None:
    def fail(_: TrialHandle) -> TrialEnd:
        raise RuntimeError("cannot reach https://me:hunter2@host/x")

    sweep = open_backend(f"journal:///{tmp_path}/sweeps").create(read_sweep(SWEEP, "s"))
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(DetsweepError):
        run_agent(sweep, fail, agent="a")
    assert SECRET not in said.getvalue()
    assert SECRET not in (tmp_path / "sweeps").read_text(encoding="utf-8")


def test_commands_that_people_paste_stay_as_they_are() -> None:
    command = "submit --host http://localhost:8080 --image r/detsweep:1@sha256:abc s3://bucket/x"
    assert redact(command) == command
    assert shown_url("grpc://proxy:13000") == "grpc://proxy:13000"


def test_children_are_started_without_passwords_in_their_words(tmp_path: Path) -> None:
    script = (
        "import sys, psutil\n"
        "from detector.steps.child import Work\n"
        "from detector.sweep.opening import SweepAddress\n"
        "from tests.sweep.test_passwords import words_of_this_process\n"
        "if __name__ == '__main__':\n"
        "    address = SweepAddress('postgresql://me:hunter2@host/x', 'abc')\n"
        "    print(Work('w', words_of_this_process, lambda: (address,)).done())\n"
    )
    file = tmp_path / "main.py"
    file.write_text(script, encoding="utf-8")
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "spawn_main" in done.stdout
    assert SECRET not in done.stdout


def words_of_this_process(_: object) -> str:
    import psutil

    return " ".join(psutil.Process().cmdline())
