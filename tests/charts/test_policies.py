"""Who may reach the servers of a release: its own pods and those of runs, by their real labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.settings import Settings
from tests.charts.rendering import Manifest, find, render
from tests.pipelines.test_sweep_pipeline import documents_of

ROOT = Path(__file__).parents[2]
Labels = Mapping[str, str]
SERVERS = ("s3", "postgresql")


def admits(policy: Manifest, labels: Labels) -> bool:
    """Whether a policy lets a pod of its own namespace in."""
    return any(
        peer["podSelector"].get("matchLabels", {}).items() <= labels.items()
        for rule in policy["spec"]["ingress"]
        for peer in rule["from"]
        if "podSelector" in peer and "namespaceSelector" not in peer
    )


def policy(component: str, values: Mapping[str, Any] | None = None) -> Manifest:
    manifests = render({"networkPolicy": values or {}})
    return find(manifests, "NetworkPolicy", f"detsweep-{component}")


def pods_of(release: str) -> dict[str, Labels]:
    found = {}
    for manifest in render({}, release):
        pod = manifest if manifest["kind"] == "Pod" else manifest.get("spec", {}).get("template")
        if pod is not None:
            found[manifest["metadata"]["name"]] = pod["metadata"]["labels"]
    return found


@pytest.fixture(scope="module")
def pods_of_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Labels]:
    """The labels of every pod that works for a run, from where they are written."""
    _, pods = documents_of(Settings(), tmp_path_factory.mktemp("built"))
    found = {name: spec["podMetadata"]["labels"] for name, spec in pods.items()}
    jobs = yaml.safe_load((ROOT / "k8s/jobs/kustomization.yaml").read_text(encoding="utf-8"))
    (of_jobs,) = jobs["labels"]
    assert of_jobs["includeTemplates"] is True
    found["jobs"] = of_jobs["pairs"]
    (runtime,) = yaml.safe_load_all((ROOT / "k8s/trainer/runtime.yaml").read_text(encoding="utf-8"))
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    found["fold of many nodes"] = job["template"]["spec"]["template"]["metadata"]["labels"]
    return found


@pytest.mark.parametrize("server", SERVERS)
def test_the_pods_of_runs_and_of_the_release_reach_its_servers(
    server: str, pods_of_runs: dict[str, Labels]
) -> None:
    assert len(pods_of_runs) > 5
    opened = policy(server)
    for name, labels in {**pods_of_runs, **pods_of("detsweep")}.items():
        assert admits(opened, labels), name


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("other", ["receipts", "detsweep-2"])
def test_nothing_else_of_the_namespace_reaches_them(server: str, other: str) -> None:
    opened = policy(server)
    strangers = {**pods_of(other), "none": {}, "part": {"app.kubernetes.io/part-of": "detsweep"}}
    for name, labels in strangers.items():
        assert not admits(opened, labels), name


def test_runs_can_be_kept_to_one_release_by_a_label_that_they_have(
    pods_of_runs: dict[str, Labels],
) -> None:
    label = {"app.kubernetes.io/name": "detsweep", "detsweep.io/sweep": "first"}
    peer = {"podSelector": {"matchLabels": label}}
    opened = policy("postgresql", {"from": [peer]})
    assert admits(opened, pods_of_runs["jobs"])
    assert not admits(opened, {**pods_of_runs["jobs"], "detsweep.io/sweep": "second"})


def test_an_empty_list_lets_nobody_in_but_the_release() -> None:
    opened = policy("postgresql", {"from": []})
    assert not admits(opened, {"app.kubernetes.io/name": "detsweep"})
    assert admits(opened, pods_of("detsweep")["detsweep-dashboard"])


def test_the_dashboard_is_reached_by_nobody_unless_named_and_reaches_its_database_alone() -> None:
    closed = policy("dashboard")
    assert closed["spec"]["ingress"] == []
    database = closed["spec"]["egress"][0]
    labels = database["to"][0]["podSelector"]["matchLabels"]
    assert labels.items() <= pods_of("detsweep")["detsweep-postgresql"].items()
    assert labels["app.kubernetes.io/instance"] == "detsweep"
    ingress = {"podSelector": {"matchLabels": {"app": "ingress"}}}
    opened = policy("dashboard", {"dashboardFrom": [ingress]})
    assert admits(opened, {"app": "ingress"})
    assert not admits(opened, {"app.kubernetes.io/name": "detsweep"})
