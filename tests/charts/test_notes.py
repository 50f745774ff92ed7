"""What Helm prints after an installation: each command fits what it is run against.

Those that ask a cluster are run on one by tests/cluster/test_chart.py.
"""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.submit.options import Asked
from tests.charts.rendering import commands, find, render, render_notes

ROOT = Path(__file__).parents[2]
ELSEWHERE: dict[str, Any] = {
    "s3": {"bucket": "runs"},
    "postgresql": {"user": "trials", "database": "trials"},
}
every_kind = pytest.mark.parametrize(
    ("release", "namespace", "values"),
    [("detsweep", "detsweep", {}), ("receipts", "team-a", ELSEWHERE)],
    ids=["as the pipeline expects it", "all of it elsewhere"],
)


def settings_of(values: dict[str, Any], release: str) -> dict[str, str]:
    """What a run has to be given, in the words of its settings."""
    bucket = values.get("s3", {}).get("bucket", "detsweep")
    role = values.get("postgresql", {}).get("user", "detsweep")
    return {
        "DETSWEEP_DATA": f"s3://{bucket}/data/receipts",
        "DETSWEEP_STORE": f"s3://{bucket}/runs/first",
        "DETSWEEP_BACKEND": f"postgresql://{role}@{release}-postgresql:5432/{role}",
    }


@every_kind
def test_the_pipeline_takes_the_parameters_of_the_command(
    release: str, namespace: str, values: dict[str, Any]
) -> None:
    printed = commands(render_notes(values, release, namespace))
    (submit,) = (c for c in printed if c.startswith("python -m pipelines submit"))
    parameters = [word for word in shlex.split(submit) if "=" in word]
    given = Asked(parameters).request().arguments
    assert given["agents"] == 4
    settings = settings_of(values, release)
    assert given["data"] == settings["DETSWEEP_DATA"]
    assert given["store_url"] == settings["DETSWEEP_STORE"]
    assert given["backend_url"] == settings["DETSWEEP_BACKEND"]


@every_kind
def test_the_jobs_are_applied_where_the_storage_is(
    release: str, namespace: str, values: dict[str, Any], tmp_path: Path
) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    printed = commands(render_notes(values, release, namespace))
    overlays = [c for c in printed if "overlays" in c]
    *prepare, apply = overlays
    for command in prepare:
        subprocess.run(["sh", "-euc", command], check=True, cwd=tmp_path)
    assert apply.startswith("kubectl apply --kustomize ")
    build = apply.replace("apply --kustomize", "kustomize")
    built = subprocess.run(shlex.split(build), check=True, capture_output=True, cwd=tmp_path)
    manifests = list(yaml.safe_load_all(built.stdout))
    settings = find(manifests, "ConfigMap", "detsweep-settings")
    assert settings["metadata"]["namespace"] == namespace
    assert settings_of(values, release).items() <= settings["data"].items()
    assert {m["metadata"].get("namespace", namespace) for m in manifests} == {namespace}


@every_kind
def test_what_is_forwarded_and_tested_is_there(
    release: str, namespace: str, values: dict[str, Any]
) -> None:
    printed = commands(render_notes(values, release, namespace))
    assert f"helm test {release} --namespace {namespace}" in printed
    (forward,) = (c for c in printed if "service/" in c and "dashboard" in c)
    words = shlex.split(forward)
    assert words[words.index("--namespace") + 1] == namespace
    service = find(render(values, release), "Service", words[-2].removeprefix("service/"))
    assert str(service["spec"]["ports"][0]["port"]) == words[-1]


def test_secrets_under_other_names_are_copied_to_where_a_run_looks() -> None:
    as_expected = commands(render_notes())
    assert not any("kind: Secret" in command for command in as_expected)
    (password,) = (command for command in as_expected if "get secret" in command)
    assert password.startswith("kubectl get secret detsweep-dashboard ")
    assert password.endswith("go-template='{{.data.password | base64decode}}'")
    elsewhere = commands(render_notes({"s3": {"existingSecret": "mine"}}))
    (copy,) = (command for command in elsewhere if "kind: Secret" in command)
    assert copy.startswith("kubectl get secret mine ")
    assert "name: detsweep-s3}" in copy
