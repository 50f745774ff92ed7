"""How the command ends: versions, errors, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector import __version__
from detector.cli.main import app, run

DETSWEEP = Path(sys.executable).with_name("detsweep")


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"detsweep {__version__}\n"


def test_an_error_is_printed_without_traceback_and_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["detsweep", "config", "show", "trainer.max_epoch=3"])
    with pytest.raises(SystemExit) as exit_:
        run()
    assert exit_.value.code == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("error: trainer.max_epoch: no such configuration key")
    assert "did you mean 'trainer.max_epochs'?" in stderr


def test_help_does_not_wait_for_what_it_does_not_need() -> None:
    """A command that takes seconds to answer `--help` is not asked."""
    script = (
        "import sys; from typer.testing import CliRunner; from detector.cli.main import app; "
        "CliRunner().invoke(app, ['--help']); "
        "heavy = {'torch', 'kfp', 'optuna', 'numba', 'scipy', 'numpy', 'detector.sweepfile'}; "
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_command_is_installed() -> None:
    done = subprocess.run([DETSWEEP, "--help"], capture_output=True, encoding="utf-8", check=True)
    for group in ("run", "data", "sweep", "config"):
        assert group in done.stdout
