"""Runs of plain Jobs in a queue of Kueue: part of the agents admitted, preempted without a loss."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.charts.rendering import find
from tests.cluster.cluster import Cluster, Namespace, eventually
from tests.cluster.stack import Stack
from tests.cluster.test_run import EPOCH, SMALL, Run
from tests.k8s.kustomize import ROOT, build, build_folder

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("kueue")]

QUEUE = "kueue.x-k8s.io/queue-name"
VERSIONS = ("v1beta2", "v1beta1")


@pytest.fixture
def queue(namespace: Namespace, own_cluster: Cluster) -> Iterator[Callable[..., str]]:
    """Makes a ClusterQueue that holds so much of each resource, for the test's namespace alone, and
    the namespace's way into it. Its pods go to no node if `nowhere` is true."""
    name = namespace.name

    def make(nowhere: bool = False, **quota: str) -> str:
        covered = {key.replace("gpu", "nvidia.com/gpu"): value for key, value in quota.items()}
        resources = [{"name": key, "nominalQuota": value} for key, value in covered.items()]
        group = {
            "coveredResources": list(covered),
            "flavors": [{"name": name, "resources": resources}],
        }
        here = {"matchLabels": {"kubernetes.io/metadata.name": name}}
        labels = {"nodeLabels": {"detsweep.io/no": "node"}} if nowhere else {}
        own_cluster.create(
            of_kueue("ResourceFlavor", name, labels),
            of_kueue(
                "ClusterQueue",
                name,
                {
                    "namespaceSelector": here,
                    "preemption": {"withinClusterQueue": "LowerPriority"},
                    "resourceGroups": [group],
                },
            ),
            of_kueue("WorkloadPriorityClass", name, None) | {"value": 1000},
        )
        (local,) = build_folder(ROOT / "k8s/kueue/v1beta2")
        namespace.apply(local | {"spec": {"clusterQueue": name}})
        return name

    yield make
    namespace.kubectl("delete", "job", "--all", "--cascade=background")
    for kind in ("clusterqueue", "resourceflavor", "workloadpriorityclass"):
        own_cluster.kubectl("delete", kind, name, "--ignore-not-found", "--wait=false")


def of_kueue(kind: str, name: str, spec: dict[str, Any] | None) -> dict[str, Any]:
    version = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": {"name": name}}
    return version if spec is None else version | {"spec": spec}


@pytest.mark.control_plane
@pytest.mark.parametrize("version", VERSIONS)
def test_the_local_queue_is_accepted(namespace: Namespace, version: str) -> None:
    served = namespace.kubectl("api-versions").split()
    if f"kueue.x-k8s.io/{version}" not in served:
        pytest.skip(f"this Kueue does not serve {version}")
    (local,) = build_folder(ROOT / "k8s/kueue" / version)
    assert "created (server dry run)" in namespace.apply(local, dry_run=True)


@pytest.mark.control_plane
def test_the_clusters_queue_of_the_docs_is_accepted(namespace: Namespace) -> None:
    said = namespace.cluster.kubectl(
        "apply", f"--kustomize={ROOT / 'k8s/kueue/cluster'}", "--dry-run=server"
    )
    assert said.count("(server dry run)") == 2


@pytest.mark.control_plane
def test_as_many_agents_are_admitted_as_there_are_gpus(
    namespace: Namespace, queue: Callable[..., str]
) -> None:
    queue(cpu="64", memory="400Gi", gpu="3", nowhere=True)
    namespace.apply(*build_folder(ROOT / "k8s/base"), *build("gpu-cluster"))
    eventually(lambda: admitted(namespace), "the run is admitted")
    assert namespace.get("job", "detsweep")["spec"]["parallelism"] == 3
    eventually(lambda: len(namespace.pods()) == 3, "it has its pods")
    pods = namespace.pods()
    label = "batch.kubernetes.io/job-completion-index"
    assert sorted(pod["metadata"]["labels"][label] for pod in pods) == ["0", "1", "2"]


@pytest.mark.control_plane
def test_without_a_free_gpu_a_run_waits_and_its_workload_says_why(
    namespace: Namespace, queue: Callable[..., str]
) -> None:
    queue(cpu="64", memory="400Gi", gpu="0", nowhere=True)
    namespace.apply(*build_folder(ROOT / "k8s/base"), *build("gpu-cluster"))

    def reason() -> str:
        said = namespace.kubectl("describe", "workloads")
        return said if "insufficient unused quota" in said or "insufficient quota" in said else ""

    assert "nvidia.com/gpu" in eventually(reason, "the workload says what is missing")
    assert namespace.pods() == []


@pytest.mark.node
def test_a_preempted_run_loses_nothing(
    namespace: Namespace, queue: Callable[..., str], trainer_image: str, tmp_path: Path
) -> None:
    higher = queue(cpu="200m", memory="1Gi")
    stack = Stack.install(namespace, trainer_image)
    stack.draw_data(train=24, held_out=6)
    words = ["preset=quickstart", "trainer.max_epochs=12", "models.scheduler.T_max=12"]
    run = Run(stack, tmp_path, [*words, "folds.count=2"], SMALL, labels={QUEUE: "detsweep"})
    urgent = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "urgent",
            "labels": {QUEUE: "detsweep", "kueue.x-k8s.io/priority-class": higher},
        },
        "spec": {"suspend": True, "template": urgent_pod(run, trainer_image)},
    }
    with run.lines.heard() as lines:
        run.start()
        lines.wait_for("trial 1 · epoch 2/12")
        with lines.hearing("resumed after epoch"):
            namespace.create(urgent)
            eventually(lambda: is_suspended(namespace), "the run is preempted")
            eventually(lambda: "Complete" in namespace.conditions("job", "urgent"), "it ends")
        run.wait_for_end()
    summary = stack.summary("s3://detsweep/runs/first")
    assert summary["trials"] == [0, 1, 2, 3]
    epochs = Counter(line for _, line in lines.said if EPOCH.match(line))
    assert not [line for line, count in epochs.items() if count > 1], "trained twice"
    stack.remove()


def is_suspended(namespace: Namespace) -> bool:
    return "Suspended" in namespace.conditions("job", "detsweep")


def urgent_pod(run: Run, image: str) -> dict[str, Any]:
    """The template of a pod that takes all of the queue for some seconds."""
    template = copy.deepcopy(find(build("kind-cpu"), "Job", "detsweep")["spec"]["template"])
    (container,) = template["spec"]["containers"]
    container |= {"image": image, "command": ["sleep", "20"], "env": [], "envFrom": []}
    container["resources"] = {
        "requests": {"cpu": "200m", "memory": "512Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }
    template["metadata"]["labels"] = {"app": "urgent"}
    urgent: dict[str, Any] = template
    return urgent


def admitted(namespace: Namespace) -> bool:
    """Whether Kueue has let the run go."""
    job = namespace.get("job", "detsweep")
    return bool(job) and not job["spec"]["suspend"]
