"""How a command names the program that it is to be called by."""

import shutil
import sys
from pathlib import Path

import pytest

from detector.cli.next_steps import this_program


def test_a_program_that_is_not_in_path_is_named_by_its_whole_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [".venv/bin/detsweep", "run"])
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert this_program() == [str(tmp_path / ".venv" / "bin" / "detsweep")]


def test_a_program_in_path_is_named_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "detsweep"
    program.touch()
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setattr(shutil, "which", lambda _name: str(program))
    assert this_program() == ["detsweep"]


def test_another_program_of_that_name_in_path_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "detsweep")])
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/detsweep")
    assert this_program() == [str(tmp_path / "detsweep")]
