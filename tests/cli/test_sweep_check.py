import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from detector.cli.sweep import app
from detector.errors import SweepError

FAULTY = """\
method: bayes  # no cap
metric: {name: val/hmean, goal: maximize}
parameters:
  models.optimizer.lr: {distribution: log_uniform_values, min: 1.0e-5, max: 2.0e-4}
"""
BROKEN = FAULTY.replace("val/hmean", "val/hmaen")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(FAULTY)
    return path


def check(file: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["check", str(file), "preset=hrnet_w44_1280", *words])


def test_a_finding_is_printed_with_level_line_cost_and_fix(file: Path) -> None:
    result = check(file)
    assert result.exit_code == 0, "warnings are no errors"
    assert f"{file}:4: warning: models.optimizer.lr: the configuration has 0.00045" in result.stdout
    assert "the best that is known cannot be found" in result.stdout
    assert "→ widen the range: max: 0.0009" in result.stdout
    assert result.stdout.endswith("0 errors, 2 warnings, 1 note\n")


def test_errors_make_the_command_fail(file: Path) -> None:
    file.write_text(BROKEN)
    assert check(file).exit_code == 1


def test_overrides_say_what_else_is_known_to_be_good(file: Path) -> None:
    assert "0.0003 and 0.00045" in check(file, "models.optimizer.lr=3e-4").stdout


def test_fix_writes_the_mended_file_and_says_what_it_did(file: Path) -> None:
    file.write_text(BROKEN)
    result = check(file, "--fix")
    assert result.exit_code == 0
    assert result.stdout.count("mended: ") == 3
    assert file.read_text() == (
        "method: bayes  # no cap\n"
        "run_cap: 20\n"
        "metric: {name: val/hmean, goal: maximize}\n"
        "parameters:\n"
        "  models.optimizer.lr: {distribution: log_uniform_values, min: 1.0e-5, max: 0.0009}\n"
    )
    again = check(file, "--fix")
    assert again.stdout.endswith("0 errors, 0 warnings, 1 note\n")


def test_json_holds_every_finding_with_its_edits(file: Path) -> None:
    tree = json.loads(check(file, "--json").stdout)
    assert [(finding["rule"], finding["line"]) for finding in tree["findings"]] == [
        ("run_cap_missing", 1),
        ("stopping_rule", 1),
        ("incumbent_outside_its_range", 4),
    ]
    assert tree["findings"][2]["edits"][0]["text"] == "0.0009"
    assert json.loads(check(file, "--json", "--fix").stdout)["mended"] == [
        finding for finding in tree["findings"] if finding["level"] != "note"
    ]


def test_more_agents_than_trials_are_found(file: Path) -> None:
    file.write_text(FAULTY + "run_cap: 4\n")
    assert "8 agents for 4 trials" in check(file, "--agents", "8").stdout


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="cannot read the sweep file"):
        CliRunner().invoke(app, ["check", str(tmp_path / "no.yaml")], catch_exceptions=False)
