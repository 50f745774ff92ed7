import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from detector.cli.sweep import app
from detector.cli.sweep_check import write_keeping_the_old
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
    path.write_text(FAULTY, encoding="utf-8")
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
    file.write_text(BROKEN, encoding="utf-8")
    assert check(file).exit_code == 1


def test_overrides_say_what_else_is_known_to_be_good(file: Path) -> None:
    assert "0.0003 and 0.00045" in check(file, "models.optimizer.lr=3e-4").stdout


def test_fix_writes_the_mended_file_and_says_what_it_did(file: Path) -> None:
    file.write_text(BROKEN, encoding="utf-8")
    result = check(file, "--fix")
    assert result.exit_code == 0
    assert result.stdout.count("mended: ") == 3
    assert file.read_text(encoding="utf-8") == (
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


def test_json_holds_what_was_changed_and_the_backup(file: Path) -> None:
    tree = json.loads(check(file, "--json", "--fix").stdout)
    assert [(step["rule"], step["line"]) for step in tree["mended"]] == [
        ("run_cap_missing", 1),
        ("incumbent_outside_its_range", 4),
    ]
    assert tree["mended"][0]["changes"] == [{"path": ["run_cap"], "after": 20}]
    assert tree["mended"][1]["lost"] == []
    assert Path(tree["backup"]).read_text(encoding="utf-8") == FAULTY
    assert "+run_cap: 20" in tree["diff"]


def test_fix_shows_a_diff_and_keeps_every_older_file(file: Path) -> None:
    older = file.with_name("sweep.yaml.bak")
    older.write_text("an older one", encoding="utf-8")
    result = check(file, "--fix")
    assert "\n+run_cap: 20\n" in result.stdout
    assert older.read_text(encoding="utf-8") == "an older one"
    backup = file.with_name("sweep.yaml.2.bak")
    assert backup.read_text(encoding="utf-8") == FAULTY
    assert f"the file as it was: {backup}" in result.stdout
    mended = file.read_bytes()
    check(file, "--fix")
    assert file.read_bytes() == mended, "a second time there is nothing to mend"
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "sweep.yaml", "sweep.yaml.2.bak", "sweep.yaml.bak",
    ]  # fmt: skip


def test_diff_shows_what_fix_would_do_and_writes_nothing(file: Path) -> None:
    shown = check(file, "--diff").stdout
    assert file.read_text(encoding="utf-8") == FAULTY
    done = check(file, "--fix").stdout
    diff = [line for line in shown.splitlines() if line[:1] in "+-@" and line]
    assert diff
    assert diff == [line for line in done.splitlines() if line[:1] in "+-@" and line]


def test_a_parameter_that_is_not_searched_any_more_is_named(file: Path) -> None:
    file.write_text(FAULTY + "  models.scheduler.T_max: {values: [5, 10]}\n", encoding="utf-8")
    assert "the search space loses models.scheduler.T_max, which is {value: 20} now" in (
        check(file, "--fix").stdout
    )


def test_a_file_that_changes_meanwhile_is_left_alone(file: Path) -> None:
    with pytest.raises(SweepError, match="has changed while it was checked"):
        write_keeping_the_old(file, b"what was read", b"what was mended")
    assert file.read_text(encoding="utf-8") == FAULTY
    assert list(file.parent.iterdir()) == [file]


def test_the_mended_file_keeps_its_permissions_and_its_link(file: Path, tmp_path: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    check(link, "--fix")
    assert link.is_symlink()
    assert "run_cap" in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o777 == 0o640


def test_more_agents_than_trials_are_found(file: Path) -> None:
    file.write_text(FAULTY + "run_cap: 4\n", encoding="utf-8")
    assert "8 agents for 4 trials" in check(file, "--agents", "8").stdout


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="cannot read the sweep file"):
        CliRunner().invoke(app, ["check", str(tmp_path / "no.yaml")], catch_exceptions=False)
