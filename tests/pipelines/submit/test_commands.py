"""The commands, as a person runs them."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipelines.kubeflow import Kubeflow, kubeflow, recorded

ROOT = Path(__file__).parents[3]
SWEEP = """\
name: May receipts
method: random
run_cap: 2
metric: {name: val/hmean, goal: maximize}
parameters:
  models.optimizer.lr: {min: 0.001, max: 0.008}
"""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "pipelines", *words]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )


def submit(server: Kubeflow, *words: str) -> subprocess.CompletedProcess[str]:
    return run("submit", "--host", server.url, *words)


def executors(run: dict[str, Any]) -> dict[str, Any]:
    platform = run["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]
    found: dict[str, Any] = platform["deploymentSpec"]["executors"]
    return found


@pytest.mark.timeout(120)
def test_one_command_compiles_the_pipeline_and_starts_it(tmp_path: Path) -> None:
    (tmp_path / "may.yaml").write_text(SWEEP, encoding="utf-8")
    words = ["agents=8", "data=s3://bucket/may", "preset=receipts_cpu", "baseline=0.97"]
    options = ["--sweep", str(tmp_path / "may.yaml"), "--service-account", "trainer"]
    with kubeflow(recorded("disrupted")) as server:
        done = submit(server, *options, "--pull-secret", "registry", "--queue", "team", *words)
    assert done.returncode == 0, done.stderr
    address, logs, again = done.stdout.splitlines()
    assert address == f"run r0: {server.url}/#/runs/details/r0"
    assert logs.startswith(
        "logs: kubectl logs --namespace kubeflow --selector detsweep.io/sweep=May-receipts "
    )
    assert again == f"follow it: python -m pipelines follow r0 --host {server.url}"
    (started,) = server.runs
    assert server.experiments[0]["display_name"] == "detsweep"
    assert started["experiment_id"] == "e0"
    assert started["display_name"] == "May receipts"
    assert started["service_account"] == "trainer"
    assert started["runtime_config"]["parameters"] == {
        "agents": 8,
        "baseline": "0.97",
        "data": "s3://bucket/may",
        "overrides": ["preset=receipts_cpu"],
        "sweep_yaml": SWEEP,
    }
    for executor in executors(started).values():
        labels = executor["podMetadata"]["labels"]
        assert labels["detsweep.io/sweep"] == "May-receipts"
        assert labels["kueue.x-k8s.io/queue-name"] == "team"
        assert executor["imagePullSecret"][0]["secretName"] == "registry"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("agnets=8", "'agnets=8' is no parameter of the pipeline; did you mean 'agents'?"),
        ("agents=0", "agents: 0 is too few"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(word: str, said: str) -> None:
    with kubeflow() as server:
        done = submit(server, word)
    assert done.returncode == 2
    assert f"error: {said}" in done.stderr
    assert not server.runs
    assert not server.tokens  # No question was asked at all.


@pytest.mark.timeout(120)
def test_the_pipeline_is_written_with_what_it_is_given(tmp_path: Path) -> None:
    package = tmp_path / "sweep.yaml"
    image = "registry.example/trainer@sha256:0"
    done = run(
        *["compile", "--output", str(package), "--image", image, "--gpu", "", "--memory", "3Gi"],
        *["agents=3", "baseline=0.97"],
    )
    assert done.returncode == 0, done.stderr
    pipeline, _platform = yaml.safe_load_all(package.read_text(encoding="utf-8"))
    parameters = pipeline["root"]["inputDefinitions"]["parameters"]
    assert parameters["image"]["defaultValue"] == image
    assert parameters["agents"]["defaultValue"] == 3
    assert parameters["baseline"]["defaultValue"] == "0.97"
    container = pipeline["deploymentSpec"]["executors"]["exec-agent"]["container"]
    assert container["resources"]["resourceMemoryRequest"] == "3Gi"
    assert "accelerator" not in container["resources"]


@pytest.mark.timeout(120)
def test_a_run_is_followed_by_its_id() -> None:
    with kubeflow([recorded("disrupted")[-1]]) as server:
        done = run("follow", "r0", "--host", server.url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["ensemble: done", "run r0: succeeded"]


@pytest.mark.timeout(120)
def test_a_run_that_failed_ends_the_command_with_2() -> None:
    with kubeflow([recorded("failed")[-1]]) as server:
        done = run("follow", "r0", "--host", server.url)
    assert done.returncode == 2
    assert "error: run r0: the run ended as failed at agent 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(120)
def test_a_session_that_ends_says_how_to_follow_the_run_again() -> None:
    with kubeflow([recorded("disrupted")[0], {"answer": (401, {"message": "expired"})}]) as server:
        done = run("follow", "r0", "--host", server.url)
    assert done.returncode == 2
    assert f"python -m pipelines follow r0 --host {server.url}" in done.stdout
    assert "answers 401: expired" in done.stderr
    assert "DETSWEEP_KFP_TOKEN_FILE" in done.stderr


@pytest.mark.timeout(120)
def test_ctrl_c_ends_the_following_and_says_how_to_go_on() -> None:
    with kubeflow([recorded("disrupted")[0]]) as server:
        following = subprocess.Popen(
            command("follow", "r0", "--host", server.url, "--namespace", "team-a"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert following.stdout is not None
        for line in following.stdout:
            if line.startswith("agent 3: goes on"):
                break
        following.send_signal(signal.SIGINT)
        rest = following.stdout.read()
        assert following.wait() == 130
    again = f"python -m pipelines follow r0 --host {server.url} --namespace team-a"
    assert again in rest
