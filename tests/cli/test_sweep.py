import csv
import html
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from detector.choosing.ranking import Choice
from detector.cli.sweep import app
from detector.config.loading import apply_params, load_config
from detector.data.folds import Manifest
from detector.errors import ConfigError, StoreError, SweepError
from detector.redacting import redact
from detector.steps.run import BegunSweep, Run
from detector.sweep.agent import run_agent
from detector.sweep.opening import open_backend
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import TrialEnd, TrialHandle
from detector.sweepfile.spec import read_sweep
from tests.sweep.taking import take

SWEEP = """
method: grid
metric: {name: val/hmean, goal: maximize}
parameters: {models.optimizer.lr: {values: [0.001, 0.0003]}}
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"journal:///{tmp_path}/sweeps.log"


@pytest.fixture
def sweep_id(url: str) -> str:
    """A sweep of two trials. The second is the better one."""

    def train(trial: TrialHandle) -> TrialEnd:
        trial.report(1, {"val/hmean": 1 - float(str(trial.params["models.optimizer.lr"]))})
        return "finished"

    sweep = open_backend(url).create(read_sweep(SWEEP, "f"))
    run_agent(sweep, train, agent="a1", on_event=lambda _: None)
    return sweep.id


def detsweep_sweep(*words: str) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_agent_takes_no_trial_that_cannot_be_trained_here(url: str, tmp_path: Path) -> None:
    sweep = open_backend(url).create(read_sweep(SWEEP, "f"))
    config = load_config(["preset=quickstart", "models.init=elsewhere/best.ckpt"])
    Run(str(tmp_path), sweep.id).write_preparation(config, Manifest(2, 0, ()))
    words = ["agent", sweep.id, "--store", str(tmp_path), "--backend", url]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, ConfigError)
    assert "there is no file 'elsewhere/best.ckpt'" in str(result.exception)
    assert sweep.trials() == []


def test_best_gives_the_same_trial_in_every_form(url: str, sweep_id: str) -> None:
    words = ["best", sweep_id, "--backend", url]
    content = json.loads(detsweep_sweep(*words, "--json"))
    assert content == {
        "trial": 1,
        "metric": "val/hmean",
        "value": 0.9997,
        "epoch": 1,
        "params": {"models.optimizer.lr": 0.0003},
        "named_by": "best value",
    }
    assert yaml.safe_load(detsweep_sweep(*words, "--yaml")) == content
    overrides = detsweep_sweep(*words, "--overrides")
    assert shlex.split(overrides) == ["models.optimizer.lr=0.0003"]
    assert f"detsweep train {overrides}" in detsweep_sweep(*words)


def test_best_refuses_two_forms_and_a_sweep_without_scores(url: str, sweep_id: str) -> None:
    with pytest.raises(SweepError, match="more than one form"):
        detsweep_sweep("best", sweep_id, "--backend", url, "--json", "--yaml")
    empty = open_backend(url).create(read_sweep(SWEEP, "f")).id
    with pytest.raises(SweepError, match="no trial has ended with a score"):
        detsweep_sweep("best", empty, "--backend", url)


def test_best_names_what_the_pipeline_selected_and_says_which_trial_scored_higher(
    url: str, sweep_id: str, tmp_path: Path
) -> None:
    run = Run(str(tmp_path / "run"), sweep_id)
    outcome = SweepOutcome.so_far(open_backend(url).open(sweep_id))
    run.write_outcome(replace(outcome, choice=Choice(0, [], ["A tie."])))
    words = ["best", sweep_id, "--backend", url, "--store", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    content = json.loads(result.stdout)
    assert (content["trial"], content["value"], content["named_by"]) == (0, 0.999, "selection")
    assert result.stderr == (
        "trial 1 has the best val/hmean, 0.9997; the selection named trial 0: A tie.\n"
    )
    assert shlex.split(detsweep_sweep(*words, "--overrides")) == ["models.optimizer.lr=0.001"]


def test_overrides_begin_with_those_of_the_sweeps_own_store(
    url: str, sweep_id: str, tmp_path: Path
) -> None:
    run = Run(str(tmp_path / "run"))
    config = load_config(["preset=quickstart", "data.path=receipts", "models.optimizer.lr=0.5"])
    run.write_preparation(config, Manifest(2, 0, ()))
    words = ["best", sweep_id, "--backend", url, "--store", str(tmp_path / "run"), "--overrides"]
    run.begin_sweep(BegunSweep("another"), SWEEP)
    assert shlex.split(detsweep_sweep(*words)) == ["models.optimizer.lr=0.0003"]
    run.begin_sweep(BegunSweep(sweep_id), SWEEP)
    pasted = shlex.split(detsweep_sweep(*words))
    assert pasted == ["preset=quickstart", "data.path=receipts", "models.optimizer.lr=0.0003"]
    assert load_config(pasted) == apply_params(config, {"models.optimizer.lr": 0.0003})


def test_export_writes_a_row_for_each_trial_and_for_each_epoch(
    url: str, sweep_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = detsweep_sweep("export", sweep_id, "--backend", url)
    assert "no other metric than val/hmean is in runs/sweep" in said
    with Run("run", sweep_id).trial(0).program_folder(1) as folder:
        line = '{"epoch": 1, "val/hmean": 0.999, "train/loss": 2.5}\n'
        (folder / "metrics.jsonl").write_text(line, encoding="utf-8")
    detsweep_sweep("export", sweep_id, "--backend", url, "--store", "run")
    trials = list(
        csv.DictReader(Path(f"{sweep_id}-trials.csv").read_text(encoding="utf-8").splitlines())
    )
    assert [row["params.models.optimizer.lr"] for row in trials] == ["0.001", "0.0003"]
    assert Path(f"{sweep_id}-epochs.csv").read_text(encoding="utf-8") == (
        "trial,epoch,metrics.val/hmean,metrics.train/loss\n0,1,0.999,2.5\n1,1,0.9997,\n"
    )


def test_report_writes_one_page_into_the_store_or_where_it_is_asked_to(
    url: str, sweep_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    said = detsweep_sweep("report", sweep_id, "--backend", url, "--store", "run")
    page = tmp_path / "run" / "sweeps" / sweep_id / "report.html"
    assert str(page) in said
    assert "Learning curves" in page.read_text(encoding="utf-8")
    detsweep_sweep("report", sweep_id, "--backend", url, "--out", "mine.html")
    assert "Learning curves" in (tmp_path / "mine.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["report", "best", "export"])
def test_a_misspelt_store_is_refused_and_not_made(
    url: str, sweep_id: str, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    typo = tmp_path / "rnu"
    words = [command, sweep_id, "--backend", url, "--store", str(typo)]
    with pytest.raises(StoreError, match="there is no run store"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert not typo.exists()
    assert not list(Path().iterdir())


def test_status_shows_every_trial_as_table_and_as_json(url: str, sweep_id: str) -> None:
    table = detsweep_sweep("status", sweep_id, "--backend", url)
    assert f"sweep {sweep_id} · grid · 2 of 2 trials" in table
    assert "2 finished" in table
    status = json.loads(detsweep_sweep("status", sweep_id, "--backend", url, "--json"))
    assert status["best"] == 1
    assert [trial["state"] for trial in status["trials"]] == ["finished", "finished"]


def test_watching_without_a_terminal_prints_lines_until_the_sweep_is_over(
    url: str, sweep_id: str
) -> None:
    shown = detsweep_sweep("status", sweep_id, "--backend", url, "--watch")
    assert shown.count("\n") == 1
    assert "2 finished · 0 agents at work · 2 epochs · best val/hmean 0.9997 (trial 1)" in shown
    status = json.loads(detsweep_sweep("status", sweep_id, "--backend", url, "--watch", "--json"))
    assert status["is_over"]


def test_stop_ends_a_sweep(url: str, sweep_id: str) -> None:
    detsweep_sweep("stop", sweep_id, "--backend", url)
    assert open_backend(url).open(sweep_id).is_stopped()


def test_a_sweep_gets_more_trials_and_failed_ones_another_try(url: str) -> None:
    drawn = SWEEP.replace("method: grid", "method: random\nrun_cap: 1")
    sweep = open_backend(url).create(read_sweep(drawn, "f"))
    sweep_id = sweep.id
    added = detsweep_sweep("extend", sweep_id, "--trials", "1", "--backend", url)
    assert f"1 trial added to sweep {sweep_id}" in added
    take(sweep, "a").fail("the disk was full")
    tried = detsweep_sweep("retry", sweep_id, "--backend", url)
    assert f"1 failed trial of sweep {sweep_id} to be tried again" in tried
    assert [trial.state for trial in sweep.trials()] == ["waiting"]
    nothing = detsweep_sweep("retry", sweep_id, "--backend", url)
    assert f"0 failed trials of sweep {sweep_id} to be tried again" in nothing


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@127.0.0.1:1/sweeps",
        "postgresql://me:s3cr@s3cret@127.0.0.1:1/sweeps",
        "postgresql://me@127.0.0.1:1/sweeps?password=s3cret",
        "mysql://me:s3cret@127.0.0.1:1/sweeps",
    ],
)
def test_no_error_shows_the_password_of_a_backend(url: str) -> None:
    with pytest.raises(SweepError) as caught:
        open_backend(url)
    assert "s3cr" not in str(caught.value)
    assert redact(url) in str(caught.value)


def test_a_url_of_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(SweepError, match="sqlite:///FILE"):
        open_backend("sweeps.db")


@pytest.mark.parametrize(
    "command", ["status", "agent", "best", "report", "export", "stop", "retry"]
)
def test_a_command_on_a_sweep_makes_no_database(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [command, "abc", "--backend", "sqlite:///none.db"])
    assert isinstance(result.exception, SweepError)
    assert f"there is no file {tmp_path / 'none.db'}" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_init_prepares_the_run_and_ends_with_the_id(
    url: str, tmp_path: Path, write_page: Callable[..., Any]
) -> None:
    for number in range(8):
        write_page("", f"page{number}")
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP, encoding="utf-8")
    words = ["init", str(file), "folds.count=2", "--data", str(tmp_path / "receipts")]
    output = detsweep_sweep(*words, "--store", str(tmp_path / "run"), "--backend", url)
    sweep_id = output.splitlines()[-1]
    assert (tmp_path / "run" / "sweeps" / sweep_id / "sweep.yaml").read_text(
        encoding="utf-8"
    ) == SWEEP
    again = detsweep_sweep(*words, "--store", str(tmp_path / "run"), "--backend", url)
    assert again.splitlines()[-1] == sweep_id


def test_the_report_has_the_command_that_creates_the_sweep_again(
    url: str, tmp_path: Path, write_page: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        write_page("", f"page{number}")
    file = tmp_path / "my sweep.yaml"
    file.write_text(SWEEP, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ["init", str(file), "folds.count=2", "--data", str(tmp_path / "receipts")]
    sweep_id = detsweep_sweep(*words, "--store", "run", "--backend", url).splitlines()[-1]
    detsweep_sweep("report", sweep_id, "--store", "run", "--backend", url, "--out", "page.html")

    page = html.unescape((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert f"detsweep sweep agent {sweep_id} --store {tmp_path / 'run'}" in page
    (command,) = re.findall("detsweep sweep (init .*folds.count=2)", page)
    again = detsweep_sweep(*shlex.split(command), "--backend", url).splitlines()[-1]
    assert again != sweep_id
    assert Run("runs/again").config == Run("run").config
