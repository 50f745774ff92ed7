"""The manifests of plain Jobs on a server: what it accepts, counts, deletes and decides.

The kubelet's part, a pod's end, is written by the tests, so no pod has to run: a label that no node
has keeps them pending.
"""

import copy
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.cli.plan import quota
from tests.charts.rendering import find, pod_specs
from tests.cluster.cluster import Cluster, CommandError, Namespace, eventually, run
from tests.cluster.overlay import write_overlay
from tests.k8s.kustomize import OF_JOBS, OVERLAYS, ROOT, build, build_folder

pytestmark = pytest.mark.control_plane

NOWHERE = {"detsweep.io/no": "node"}
USER = ("--as=somebody", "--as-group=detsweep-users", "--as-group=system:authenticated")


@pytest.fixture
def prepared(namespace: Namespace) -> Namespace:
    """A namespace in which an administrator has applied k8s/base."""
    namespace.apply(*build_folder(ROOT / "k8s/base"))
    return namespace


def pending_run(**spec: Any) -> list[dict[str, Any]]:
    """The manifests of overlay `jobs`, whose pods stay pending."""
    manifests = copy.deepcopy(build("jobs"))
    job = find(manifests, "Job", "detsweep")["spec"]
    job["template"]["spec"]["nodeSelector"] = NOWHERE
    job |= spec
    return manifests


def pods_by_index(namespace: Namespace) -> dict[int, dict[str, Any]]:
    """The pods that have not ended, by their index in the Job."""
    label = "batch.kubernetes.io/job-completion-index"
    return {
        int(pod["metadata"]["labels"][label]): pod
        for pod in namespace.pods("detsweep.io/step=agent")
        if pod["status"]["phase"] not in {"Failed", "Succeeded"}
        and "deletionTimestamp" not in pod["metadata"]
    }


def end_pod(namespace: Namespace, index: int, exit_code: int, *, disrupted: bool = False) -> str:
    """Write the end of an index's pod, as its kubelet would.

    Returns:
        The name of the pod.
    """
    eventually(lambda: index in pods_by_index(namespace), f"there is a pod {index}")
    pod = pods_by_index(namespace)[index]
    state = {"terminated": {"exitCode": exit_code, "reason": "Error"}}
    container = {"name": "agent", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    status: dict[str, Any] = {
        "phase": "Failed" if exit_code else "Succeeded",
        "containerStatuses": [{**container, "state": state}],
    }
    if disrupted:
        status["conditions"] = [
            {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        ]
    name: str = pod["metadata"]["name"]
    namespace.set_status("pod", name, status)
    return name


def status_of_run(namespace: Namespace) -> dict[str, Any]:
    status: dict[str, Any] = namespace.get("job", "detsweep")["status"]
    return status


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_server_accepts_every_overlay_and_its_pods(prepared: Namespace, overlay: str) -> None:
    manifests = build(overlay)
    said = prepared.apply(*manifests, dry_run=True)
    assert said.count("(server dry run)") == len(manifests)
    # The standard is enforced on pods alone, so they are sent, too.
    for _, spec in pod_specs(manifests):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "p-"}, "spec": spec}
        assert "created (server dry run)" in prepared.create(pod, dry_run=True)


@pytest.mark.parametrize("overlay", OF_JOBS)
def test_a_user_of_the_role_starts_and_ends_a_run_and_hears_of_nothing_forbidden(
    prepared: Namespace, overlay: str, tmp_path: Path
) -> None:
    folder = write_overlay(tmp_path, prepared.name, overlay, {"nodeSelector": NOWHERE})
    started = prepared.kubectl(*USER, "apply", f"--kustomize={folder}")
    assert "job.batch/detsweep created" in started
    assert "job.batch/detsweep unchanged" in prepared.kubectl(
        *USER, "apply", f"--kustomize={folder}"
    )
    prepared.kubectl(*USER, "get", "pods,jobs,events,configmaps,resourcequotas")
    assert "deleted" in prepared.kubectl(*USER, "delete", f"--kustomize={folder}")
    prepared.kubectl(*USER, "delete", "jobs", "--all")


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("get", "services"),
        ("list", "pods"),
        ("create", "pods --subresource=portforward"),
        ("get", "pods --subresource=log"),
    ],
)
def test_a_user_of_the_role_may_forward_a_services_port(
    prepared: Namespace, verb: str, what: str
) -> None:
    assert prepared.kubectl(*USER, "auth", "can-i", verb, *what.split()).strip() == "yes"


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("get", "secrets"),
        ("create", "pods --subresource=exec"),
        ("create", "pods"),
        ("patch", "roles"),
    ],
)
def test_a_user_of_the_role_may_not_do_more(prepared: Namespace, verb: str, what: str) -> None:
    with pytest.raises(CommandError):
        prepared.kubectl(*USER, "auth", "can-i", verb, *what.split())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_deleted_overlay_leaves_the_namespace_its_volumes_and_its_secrets(
    prepared: Namespace, overlay: str, tmp_path: Path
) -> None:
    claim = find(build_folder(ROOT / "k8s/data-volume"), "PersistentVolumeClaim", "detsweep-data")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "detsweep-s3"}}
    prepared.create(claim, secret)
    folder = write_overlay(tmp_path, prepared.name, overlay, {"nodeSelector": NOWHERE})
    prepared.kubectl("apply", f"--kustomize={folder}")
    prepared.kubectl("delete", f"--kustomize={folder}")
    assert prepared.cluster.get("namespace", prepared.name)["status"]["phase"] == "Active"
    kept = ("pvc/detsweep-data", "secret/detsweep-s3", "serviceaccount/detsweep")
    for name in (*kept, "quota/detsweep", "role/detsweep-runs"):
        assert "deletionTimestamp" not in prepared.get(name)["metadata"], name


def test_where_a_quota_has_room_for_one_pod_it_is_the_leader(prepared: Namespace) -> None:
    metadata = {"name": "small"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata}
    prepared.apply({**quota, "spec": {"hard": {"pods": "1"}}})
    eventually(lambda: prepared.get("quota", "small")["status"].get("hard"), "the quota counts")
    prepared.apply(*pending_run())
    eventually(lambda: any("exceeded quota" in e for e in prepared.events()), "pods are refused")
    assert list(pods_by_index(prepared)) == [0]
    # The leader does all of it, and with it the run is done.
    end_pod(prepared, 0, 0)
    eventually(lambda: "Complete" in prepared.conditions("job", "detsweep"), "the run is done")


def test_the_quota_that_a_plan_prints_holds_the_storage_and_every_agent(
    prepared: Namespace,
) -> None:
    metadata = {"name": "detsweep"}
    hard = {**quota(agents=3, gpus=3), "pods": "60"}
    prepared.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}}
    )
    nowhere = [
        f"--set-string={server}.nodeSelector.detsweep\\.io/no=node"
        for server in ("s3", "postgresql", "dashboard")
    ]
    chart = str(ROOT / "charts/detsweep-storage")
    prepared.helm("install", "detsweep", chart, "--no-hooks", *nowhere)
    eventually(lambda: len(prepared.pods()) == 3, "the storage has its pods")
    prepared.apply(*pending_run(completions=3, parallelism=3))
    eventually(lambda: len(prepared.pods()) == 6, "every agent has its pod")
    assert not any("exceeded quota" in event for event in prepared.events())


def test_the_run_is_done_with_its_leader_although_an_agent_was_lost(prepared: Namespace) -> None:
    prepared.apply(*pending_run(completions=3, parallelism=3))
    end_pod(prepared, 2, 2)  # It gave up.
    eventually(lambda: status_of_run(prepared).get("failedIndexes") == "2", "agent 2 is given up")
    assert prepared.conditions("job", "detsweep") == {}
    end_pod(prepared, 0, 0)
    eventually(lambda: "Complete" in prepared.conditions("job", "detsweep"), "the run is done")


def test_a_run_whose_leader_says_so_fails_at_once(prepared: Namespace) -> None:
    prepared.apply(*pending_run())
    end_pod(prepared, 0, 78)
    reason = eventually(
        lambda: prepared.conditions("job", "detsweep").get("Failed"), "the run has failed"
    )
    assert reason == "PodFailurePolicy"
    eventually(lambda: not pods_by_index(prepared), "the other agents are ended")


def test_what_is_no_failure_is_never_counted_as_one(prepared: Namespace) -> None:
    asked_to_end, nothing_to_do_yet, evicted = (143, False), (75, False), (137, True)
    evicted_while_giving_up, evicted_while_failing = (2, True), (78, True)
    ends = [
        *(asked_to_end, nothing_to_do_yet, evicted),
        *(evicted_while_giving_up, evicted_while_failing),
    ]
    prepared.apply(*pending_run(completions=5, parallelism=5, backoffLimitPerIndex=0))
    ended = {
        end_pod(prepared, index, code, disrupted=disrupted)
        for index, (code, disrupted) in enumerate(ends)
    }

    def started_again() -> bool:
        pods = pods_by_index(prepared)
        return len(pods) == 5 and not ended & {pod["metadata"]["name"] for pod in pods.values()}

    eventually(started_again, "all pods are started again")
    assert not status_of_run(prepared).get("failed")
    assert prepared.conditions("job", "detsweep") == {}


def test_a_crash_is_counted_against_its_own_agent(prepared: Namespace) -> None:
    prepared.apply(*pending_run(completions=2, parallelism=2, backoffLimitPerIndex=0))
    end_pod(prepared, 1, 137)
    eventually(lambda: status_of_run(prepared).get("failedIndexes") == "1", "agent 1 is given up")
    assert 0 in pods_by_index(prepared)


def test_a_sweep_of_eight_agents_can_be_followed_by_one_command(prepared: Namespace) -> None:
    """The count of docs/cluster.md; kubectl refuses more than it was allowed before it connects."""
    prepared.apply(*pending_run(completions=8, parallelism=8))
    eventually(lambda: len(pods_by_index(prepared)) == 8, "there are eight pods")
    words = ("logs", "--selector=detsweep.io/sweep=first", "--follow", "--prefix")
    with pytest.raises(CommandError) as refused:
        prepared.kubectl(*words)
    assert "maximum allowed concurrency is 5" in str(refused.value)
    prepared.kubectl(*words, "--max-log-requests=64")


def docs_wait(namespace: str) -> str:
    """The loop by which docs/cluster.md waits for a run, with the namespace of the test."""
    text = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("$ until kubectl get job"))
    here = line.replace("--namespace detsweep", f"--namespace {namespace}")
    return here.removeprefix("$ ").replace("sleep 30", "sleep 1")


@pytest.mark.parametrize(("exit_code", "condition"), [(0, "Complete"), (78, "Failed")])
def test_the_documented_wait_ends_with_success_and_with_failure(
    prepared: Namespace, exit_code: int, condition: str
) -> None:
    prepared.apply(*pending_run())
    end_pod(prepared, 0, exit_code)
    assert condition in run("bash", "-c", docs_wait(prepared.name), timeout=120).split()


def test_an_overlay_outside_of_the_repository_is_built_as_the_docs_write_it(
    prepared: Namespace, tmp_path: Path
) -> None:
    text = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    block = text.split("```yaml\n# my-run/kustomization.yaml\n")[1].split("```")[0]
    assert yaml.safe_load(block)["kind"] == "Kustomization"
    (tmp_path / "detsweep").symlink_to(ROOT)
    (tmp_path / "my-run").mkdir()
    (tmp_path / "my-run/kustomization.yaml").write_text(block, encoding="utf-8")
    manifests = build_folder(tmp_path / "my-run")
    assert prepared.apply(*manifests, dry_run=True).count("(server dry run)") == len(manifests)
    spec = find(manifests, "Job", "detsweep")["spec"]["template"]["spec"]
    assert spec["imagePullSecrets"] and spec["priorityClassName"]
    assert "@sha256:" in spec["containers"][0]["image"]


@pytest.fixture
def dead_node(own_cluster: Cluster) -> Iterator[str]:
    """A node that nobody has heard of, so that its pods are to leave it."""
    name = f"detsweep-test-{uuid.uuid4().hex[:8]}"
    gone = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    own_cluster.create({**node, "spec": {"taints": [gone]}})
    yield name
    own_cluster.kubectl("delete", "node", name)


def test_a_pod_on_a_dead_node_is_replaced_when_the_node_is_said_to_be_off(
    prepared: Namespace, dead_node: str
) -> None:
    prepared.apply(*pending_run(completions=1, parallelism=1, template=on_node(dead_node)))
    lost = eventually(prepared.pods, "there is a pod")[0]["metadata"]["name"]
    prepared.set_status("pod", lost, {"phase": "Running"})
    eventually(lambda: "deletionTimestamp" in prepared.get("pod", lost)["metadata"], "it is to go")
    # What docs/cluster.md says of it: this is of no use.
    prepared.kubectl("delete", "pod", lost, "--force", "--grace-period=0", "--wait=false")
    assert [pod["metadata"]["name"] for pod in prepared.pods()] == [lost]
    taint = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    prepared.cluster.kubectl("taint", "nodes", dead_node, taint)
    eventually(
        lambda: {pod["metadata"]["name"] for pod in prepared.pods()} - {lost}, "it is replaced"
    )
    assert not status_of_run(prepared).get("failed")


def on_node(name: str) -> dict[str, Any]:
    """The template of a run's pods, bound to a node, which they leave at once when it is lost."""
    job = find(build("jobs"), "Job", "detsweep")
    template: dict[str, Any] = copy.deepcopy(job["spec"]["template"])
    leave = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
    kinds = ("unreachable", "not-ready")
    tolerations = [{"key": f"node.kubernetes.io/{kind}", **leave} for kind in kinds]
    template["spec"] |= {"nodeName": name, "tolerations": tolerations}
    return template
