"""Submitting the pipeline, by kfp's own client, to a server that speaks Kubeflow's API."""

import subprocess
import sys
from pathlib import Path

import pytest

from detector.errors import ConfigError, SweepError
from pipelines.submit import Client, SubmitError, as_label, defaults_of, follow, pipeline_arguments
from pipelines.sweep import sweep_pipeline
from tests.pipelines.kubeflow import Kubeflow, Turn, kubeflow, task

ROOT = Path(__file__).parents[2]
DEFAULTS = defaults_of(sweep_pipeline)
SWEEP = """\
name: May receipts
method: random
run_cap: 2
metric: {name: val/hmean, goal: maximize}
parameters:
  models.optimizer.lr: {min: 0.001, max: 0.008}
"""
RUN: list[Turn] = [
    {"state": "RUNNING", "tasks": [task("prepare-driver", "RUNNING"), task("prepare", "RUNNING")]},
    {"status": 503},
    {"state": "RUNNING", "tasks": [task("prepare", "SUCCEEDED"), task("agent", "RUNNING")]},
    {"state": "SUCCEEDED", "tasks": [task("prepare", "SUCCEEDED"), task("agent", "SUCCEEDED")]},
]


@pytest.fixture(autouse=True)
def _nobodys_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "DETSWEEP_SWEEP",
        "DETSWEEP_GPU",
        "DETSWEEP_GPUS_PER_FOLD",
        "DETSWEEP_KFP_TOKEN",
        "DETSWEEP_KFP_COOKIES",
    ):
        monkeypatch.delenv(name, raising=False)


def submit(server: Kubeflow, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "pipelines/sweep.py", "submit", "--host", server.url, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.timeout(120)
def test_one_command_compiles_the_pipeline_and_starts_it(tmp_path: Path) -> None:
    (tmp_path / "may.yaml").write_text(SWEEP)
    words = ["agents=8", "data=s3://bucket/may", "preset=receipts_cpu", "folds.count=3"]
    with kubeflow() as server:
        done = submit(server, "--sweep", str(tmp_path / "may.yaml"), *words)
    assert done.returncode == 0, done.stderr
    assert f"run r0: {server.url}/#/runs/details/r0" in done.stdout
    assert "kubectl logs --selector detsweep.io/sweep=May-receipts" in done.stdout
    (run,) = server.runs
    assert server.experiments[0]["display_name"] == "detsweep"
    assert run["experiment_id"] == "e0"
    assert run["runtime_config"]["parameters"] == {
        "agents": 8,
        "data": "s3://bucket/may",
        "overrides": ["preset=receipts_cpu", "folds.count=3"],
        "sweep_yaml": SWEEP,
    }
    platform = run["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]
    labels = [
        executor["podMetadata"]["labels"]["detsweep.io/sweep"]
        for executor in platform["deploymentSpec"]["executors"].values()
    ]
    assert set(labels) == {"May-receipts"}


@pytest.mark.timeout(120)
def test_what_is_wrong_is_said_before_a_pod_starts() -> None:
    with kubeflow() as server:
        done = submit(server, "agnets=8")
    assert done.returncode == 2
    assert (
        "error: 'agnets=8' is no parameter of the pipeline; did you mean 'agents'?" in done.stderr
    )
    assert not server.runs


def test_a_run_is_followed_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with kubeflow(RUN) as server:
        follow(Client(server.url, None), "r0", poll_s=0.01)
    assert capsys.readouterr().out.splitlines() == [
        "prepare: running",
        "prepare: succeeded",
        "agent: running",
        "agent: succeeded",
        "run r0: succeeded",
    ]


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_run_that_does_not_succeed_is_an_error_with_its_reason(
    state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {"state": state, "tasks": [task("fold", state, "exit code 2")], "error": "no luck"}
    with (
        kubeflow([failed]) as server,
        pytest.raises(SubmitError, match=rf"r0: the run ended as {state.lower()}: no luck"),
    ):
        follow(Client(server.url, None), "r0", poll_s=0.01)
    assert f"fold: {state.lower()}: exit code 2" in capsys.readouterr().out


def test_a_server_that_asks_who_it_is_gets_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with kubeflow(RUN, token="secret") as server:
        with pytest.raises(SubmitError, match=r"answers 401: who are you\?\n.*DETSWEEP_KFP_TOKEN"):
            Client(server.url, None).state("r0")
        monkeypatch.setenv("DETSWEEP_KFP_TOKEN", "secret")
        assert Client(server.url, None).state("r0").state == "RUNNING"


def test_nobody_at_the_url_is_an_error_with_a_remedy() -> None:
    with kubeflow() as server:
        pass
    with pytest.raises(SubmitError, match=r"does not answer(.|\n)*kubectl port-forward"):
        Client(server.url, None).state("r0")


def test_values_have_the_type_of_their_parameter() -> None:
    words = ["agents=3", 'node_selector={"a": "b"}', "baseline=0.9", "tolerations=[]"]
    assert pipeline_arguments(words, None, DEFAULTS) == {
        "agents": 3,
        "node_selector": {"a": "b"},
        "baseline": "0.9",
        "tolerations": [],
    }


@pytest.mark.parametrize("word", ["agents=three", "agents=[1]", "agents=1.5", "overrides={}"])
def test_a_value_of_another_type_is_refused(word: str) -> None:
    with pytest.raises(SubmitError, match=f"{word.partition('=')[0]}: .* is no "):
        pipeline_arguments([word], None, DEFAULTS)


def test_configuration_and_sweep_are_checked_here(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        pipeline_arguments(["trainer.max_epoch=3"], None, DEFAULTS)
    broken = tmp_path / "sweep.yaml"
    broken.write_text("method: luck")
    with pytest.raises(SweepError, match=r"sweep\.yaml"):
        pipeline_arguments([], broken, DEFAULTS)
    with pytest.raises(SubmitError, match="cannot read the sweep file"):
        pipeline_arguments([], tmp_path / "none.yaml", DEFAULTS)


def test_gpus_that_a_batch_cannot_be_shared_by_are_refused_before_the_sweep() -> None:
    with pytest.raises(ConfigError, match=r"data\.batch_size=2 times .* shared by 4 processes"):
        pipeline_arguments(["gpus_per_fold=4"], None, DEFAULTS)
    with pytest.raises(SubmitError, match="0 GPUs"):
        pipeline_arguments(["gpus_per_fold=0"], None, DEFAULTS)
    shared = pipeline_arguments(["gpus_per_fold=4", "data.batch_size=4"], None, DEFAULTS)
    assert shared["gpus_per_fold"] == 4


@pytest.mark.parametrize("name", ["a" * 80, "/x/", "é name"])
def test_a_label_is_one_that_kubernetes_takes(name: str) -> None:
    label = as_label(name)
    assert len(label) <= 63
    assert label.replace("-", "").isalnum()
    assert label.isascii()
