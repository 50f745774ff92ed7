"""The storage chart through what an operator does with it, and what a cluster does to it."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.rendering import commands, render
from tests.charts.test_storage_chart import VALUES
from tests.cluster.chart import Release, forwarded, page
from tests.cluster.cluster import Cluster, CommandError, Namespace, eventually

ROOT = Path(__file__).parents[2]
TESTED = ("an object was put, got and removed", "a table was written, read and removed")
LONGEST_NAME = "2024." + "receipts-" * 5 + "may"

node = pytest.mark.node


@pytest.fixture
def release(namespace: Namespace) -> Release:
    return Release(namespace)


def check(release: Release) -> None:
    """`helm test` uses both servers as a run does, and leaves no pod."""
    said = release.test()
    assert said.count("Succeeded") == 2, said
    assert release.namespace.pods("app.kubernetes.io/component=test") == []


def secret(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


@pytest.mark.control_plane
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_the_api_takes_every_manifest_without_a_warning(
    values: dict[str, Any], new_namespace: Callable[..., Namespace]
) -> None:
    warned = new_namespace(**{"pod-security.kubernetes.io/warn": "restricted"})
    words = ("create", "--dry-run=server", "--warnings-as-errors", "--filename=-")
    for release in ("detsweep", LONGEST_NAME):
        manifests = [as_job(manifest) for manifest in render(values, release)]
        said = warned.kubectl(*words, stdin=yaml.safe_dump_all(manifests))
        assert said.count("created") == len(manifests)


def as_job(manifest: dict[str, Any]) -> dict[str, Any]:
    """A pod alone is refused where its service account is not there yet; in a Job it is checked."""
    if manifest["kind"] != "Pod":
        return manifest
    spec = {"template": {"spec": manifest["spec"]}}
    name = manifest["metadata"]["name"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


@node
def test_a_release_is_installed_tested_changed_and_removed(release: Release) -> None:
    release.install(s3={"bucket": "runs"})
    check(release)
    before = {part: release.uid(part) for part in ("s3", "postgresql", "dashboard")}
    release.upgrade(test={"timeoutSeconds": 60})
    assert before == {part: release.uid(part) for part in before}, "nothing of theirs has changed"
    assert release.values()["s3"]["bucket"] == "runs"
    check(release)
    release.uninstall()
    mine = f"--selector=app.kubernetes.io/instance={release.name}"
    kinds = "all,configmap,networkpolicy,serviceaccount"
    eventually(lambda: not release.namespace.get(kinds, mine)["items"], "nothing is left")
    # Installed again, it finds its passwords and its volumes.
    release.install(s3={"bucket": "runs"})
    check(release)
    release.uninstall()
    eventually(lambda: not release.namespace.pods(), "its pods are gone")
    release.namespace.kubectl("delete", "secret,pvc", mine)
    assert release.namespace.get("secret,pvc")["items"] == []


@node
def test_a_failed_test_shows_why_and_leaves_its_pod_until_the_next(release: Release) -> None:
    release.install(test={"timeoutSeconds": 1})
    kept = release.secret("detsweep-postgresql")
    wrong = secret("detsweep-postgresql", **{**kept, "password": "guessed"})
    release.namespace.apply(wrong)
    with pytest.raises(CommandError):
        release.test()
    (failed,) = (
        pod
        for pod in release.namespace.pods("app.kubernetes.io/component=test")
        if pod["status"]["phase"] == "Failed"
    )
    log = release.namespace.kubectl("logs", failed["metadata"]["name"])
    assert "password authentication failed" in log
    release.namespace.apply(secret("detsweep-postgresql", **kept))
    check(release)


@node
def test_a_rollback_and_an_upgrade_take_over_changed_passwords(release: Release) -> None:
    release.install()
    made = release.secret("detsweep-postgresql")
    mine = {"password": "it's new", "postgres-password": "and so is $this"}
    release.namespace.apply(secret("mine", **mine))
    release.upgrade(postgresql={"existingSecret": "mine"})
    check(release)
    assert release.secret("detsweep-postgresql") == made
    # The user's own Secret changes in its place, without a value of the chart.
    mine["password"] = "newer still"
    release.namespace.apply(secret("mine", **mine))
    release.upgrade()
    check(release)
    release.rollback(1)
    check(release)


@node
def test_changed_keys_of_s3_are_taken_over(release: Release) -> None:
    keys = {"AWS_ENDPOINT_URL": f"http://detsweep-s3.{release.namespace.name}.svc:8333"}
    first = {"AWS_ACCESS_KEY_ID": "FIRST", "AWS_SECRET_ACCESS_KEY": "first-secret"}
    release.namespace.apply(secret("mine", **keys, **first))
    release.install(s3={"existingSecret": "mine", "storage": {"size": "1Gi"}})
    check(release)
    second = {"AWS_ACCESS_KEY_ID": "SECOND", "AWS_SECRET_ACCESS_KEY": "second-secret"}
    release.namespace.apply(secret("mine", **keys, **second))
    release.upgrade()
    check(release)


@node
def test_an_upgrade_that_cannot_work_is_taken_back(release: Release) -> None:
    release.install()
    with pytest.raises(CommandError, match="rolled back"):
        release.upgrade(
            "--atomic", "--timeout=20s", postgresql={"image": "docker.io/library/postgres:none"}
        )
    check(release)


@node
def test_a_release_may_have_the_longest_name_that_helm_takes(namespace: Namespace) -> None:
    release = Release(namespace, LONGEST_NAME)
    assert len(release.name) == 53
    release.install()
    check(release)


@node
def test_a_strict_quota_takes_every_pod(release: Release) -> None:
    hard = {
        "requests.cpu": "2",
        "requests.memory": "4Gi",
        "limits.cpu": "20",
        "limits.memory": "20Gi",
    }
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "strict"}}
    release.namespace.create({**quota, "spec": {"hard": hard}})
    release.install()
    check(release)


@node
def test_servers_may_be_evicted_unless_a_budget_is_asked_for(release: Release) -> None:
    release.install()
    for component in ("s3", "postgresql"):
        evict(release, component)
    eventually(lambda: ready(release), "the servers are back")
    check(release)
    release.upgrade(podDisruptionBudget={"enabled": True})
    for component in ("s3", "postgresql"):
        with pytest.raises(CommandError, match="disruption budget"):
            evict(release, component)
    # What docs/cluster.md says to do then.
    mine = f"--selector=app.kubernetes.io/instance={release.name}"
    release.namespace.kubectl("delete", "poddisruptionbudget", mine)
    evict(release, "s3")
    eventually(lambda: ready(release), "the server is back")
    assert release.values()["podDisruptionBudget"] == {"enabled": True}


def evict(release: Release, component: str) -> None:
    """Ask for a pod to be moved, as `kubectl drain` does."""
    name = release.pod(component)["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/{release.namespace.name}/pods/{name}/eviction"
    release.namespace.cluster.kubectl(
        "create", "--raw", path, "--filename=-", stdin=json.dumps(eviction)
    )
    # Until another is there, looking for the pod would find this one.
    uid = "{.metadata.uid}"
    eventually(
        lambda: release.namespace.kubectl(
            "get", "pod", name, "--ignore-not-found", f"--output=jsonpath={uid}"
        ),
        f"{name} is there again",
    )


def ready(release: Release) -> bool:
    pods = release.namespace.pods(f"app.kubernetes.io/instance={release.name}")
    return len(pods) == 3 and all(
        condition["status"] == "True"
        for pod in pods
        for condition in pod["status"].get("conditions", [])
        if condition["type"] == "Ready"
    )


@node
def test_the_only_node_is_drained(namespace: Namespace, own_cluster: Cluster) -> None:
    # A drain looks at all namespaces: no other release has this name.
    release = Release(namespace, namespace.name)
    (only,) = (found["metadata"]["name"] for found in own_cluster.ready_nodes())
    release.install(s3={"bucket": "runs", "storage": {"size": "1Gi"}})
    mine = f"--pod-selector=app.kubernetes.io/instance={release.name}"
    drain = ("drain", only, mine, "--ignore-daemonsets", "--delete-emptydir-data")
    try:
        own_cluster.kubectl(*drain, "--timeout=90s")
        release.upgrade(wait=False, test={"timeoutSeconds": 100})
    finally:
        own_cluster.kubectl("uncordon", only)
    eventually(lambda: ready(release), "the servers are back")
    assert release.values()["s3"]["bucket"] == "runs"
    check(release)


@node
def test_an_s3_service_of_ones_own_gets_its_bucket(namespace: Namespace) -> None:
    """The service is another release's; a Job creates the bucket, as often as it has to."""
    theirs, mine = Release(namespace, "theirs"), Release(namespace, "mine")
    theirs.install(postgresql={"enabled": True, "storage": {"size": "1Gi"}})
    company = {"enabled": False, "existingSecret": "theirs-s3"}
    mine.install("--wait-for-jobs", s3={**company, "bucket": "first"})
    check(mine)
    first = jobs(mine)
    mine.upgrade("--wait-for-jobs", dashboard={"enabled": False})
    assert jobs(mine) == first
    mine.upgrade("--wait-for-jobs", s3={**company, "bucket": "second"})
    check(mine)
    assert not jobs(mine) & first
    mine.rollback(1)
    assert {name for name, _ in jobs(mine)} == {name for name, _ in first}
    check(mine)


def jobs(release: Release) -> set[tuple[str, str]]:
    """Names and ids of the release's Jobs."""
    mine = f"--selector=app.kubernetes.io/instance={release.name}"
    found = release.namespace.get("jobs", mine)["items"]
    return {(job["metadata"]["name"], job["metadata"]["uid"]) for job in found}


@node
@pytest.mark.parametrize("name", ["detsweep", "receipts"])
def test_every_command_of_the_notes_works_as_printed(
    namespace: Namespace, name: str, tmp_path: Path
) -> None:
    release = Release(namespace, name)
    endpoint = f"http://{name}-s3.{namespace.name}.svc:8333"
    keys = {"AWS_ACCESS_KEY_ID": "MINE", "AWS_SECRET_ACCESS_KEY": "my-secret"}
    namespace.apply(secret("mine", AWS_ENDPOINT_URL=endpoint, **keys))
    release.install(
        s3={"existingSecret": "mine", "region": "eu-central-1", "storage": {"size": "1Gi"}},
        test={"timeoutSeconds": 1},
    )
    with pytest.raises(CommandError):
        release.test()
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    printed = commands(release.notes())
    # The region has to be there for the test.
    printed.sort(key=lambda command: not command.startswith("kubectl patch"))
    assert len(printed) >= 7
    for command in printed:
        if "port-forward" in command:
            if "dashboard" in command:
                with forwarded(shlex.split(command)) as url:
                    page(f"{url}/dashboard/", "no sweep yet")
        elif not command.startswith("python -m pipelines submit"):
            # Objects are checked by the server alone: agents would ask for GPUs.
            more = " --dry-run=server" if "apply --kustomize" in command else ""
            subprocess.run(["bash", "-euc", command + more], check=True, cwd=tmp_path)
    for copy, own in (("detsweep-s3", "mine"), ("detsweep-postgresql", f"{name}-postgresql")):
        assert release.secret(copy) == release.secret(own)
    assert release.secret("detsweep-s3")["AWS_REGION"] == "eu-central-1"
