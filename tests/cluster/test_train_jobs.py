"""A fold's TrainJob on the real API, its controllers included; what becomes of pods is written into
their status, so that no node is needed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from components.resources import QUEUE
from components.train_jobs import TrainJobError
from components.train_jobs.job import WORK
from tests.cluster.cluster import CommandError, Namespace, eventually
from tests.cluster.train_job import (
    PODS,
    Step,
    fold_job,
    install,
    needs_controllers,
    pod_of_runtime,
    runtime,
    suspend,
)

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("trainer", "jobset")]

AFFINITY = {
    "requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
        ]
    }
}
TAINT = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}


@pytest.fixture
def step(namespace: Namespace) -> Iterator[Step]:
    """A fold's step that has made its TrainJob, whose pods are pending."""
    install(namespace)
    step = Step(namespace, fold_job()).start()
    needs_controllers(step)
    yield step
    clear(step)


def clear(step: Step) -> None:
    step.namespace.kubectl("delete", "trainjobs", "--all", "--cascade=background")
    eventually(lambda: not step.pods(), "its pods are gone")


def terminated(reason: str, code: int) -> dict[str, Any]:
    state = {"terminated": {"reason": reason, "exitCode": code}}
    container = {"name": "node", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    return {"phase": "Failed", "containerStatuses": [{**container, "state": state}]}


def test_the_api_takes_a_job_with_all_that_can_be_set(namespace: Namespace) -> None:
    install(namespace)
    pods = replace(
        PODS,
        gpu="nvidia.com/gpu",
        nodes=2,
        tolerations=[TAINT],
        node_affinity=AFFINITY,
        pull_secrets=["registry"],
        queue="night",
    )
    said = namespace.create(fold_job(pods).manifest(), dry_run=True)
    assert "created (server dry run)" in said


def test_a_field_that_the_trainer_does_not_know_is_refused(namespace: Namespace) -> None:
    """By which a Trainer before 2.3 is found: it has no `runtimePatches`."""
    install(namespace)
    manifest = fold_job().manifest()
    manifest["spec"]["runtimePatched"] = manifest["spec"].pop("runtimePatches")
    with pytest.raises(CommandError, match=r'unknown field "spec\.runtimePatched"'):
        namespace.create(manifest, dry_run=True)


def test_what_a_run_asks_for_reaches_the_pods(namespace: Namespace) -> None:
    install(namespace)
    pods = replace(
        PODS, nodes=2, tolerations=[TAINT], node_affinity=AFFINITY, pull_secrets=["registry"]
    )
    step = Step(namespace, fold_job(pods)).start()
    needs_controllers(step)
    eventually(lambda: len(step.pods()) == 2, "a pod for each node")
    for pod in step.pods():
        spec = pod["spec"]
        assert spec["nodeSelector"] == PODS.node_selector
        assert TAINT in spec["tolerations"]
        assert spec["affinity"]["nodeAffinity"] == AFFINITY
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
        assert spec["restartPolicy"] == "Never"
        (container,) = spec["containers"]
        assert container["resources"] == {
            "requests": {"cpu": "100m", "memory": "1Gi"},
            "limits": {"cpu": "4", "memory": "4Gi"},
        }
        variables = {each["name"]: each.get("value") for each in container["env"]}
        assert (variables["PET_NNODES"], variables["PET_NPROC_PER_NODE"]) == ("2", "2")
        assert variables["OMP_NUM_THREADS"] == "1"
        # No name of S3's own clients, and no secret's value.
        assert "DETSWEEP_S3_SECRET_ACCESS_KEY" in variables
        assert not any(name.startswith("AWS_") for name in variables)
        sizes = {v["name"]: v.get("emptyDir", {}).get("sizeLimit") for v in spec["volumes"]}
        assert sizes["shared-memory"] == "128Mi"
    clear(step)


def test_out_of_memory_is_said_as_such_after_three_tries(
    step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    names: list[str] = []
    for _ in range(3):
        names.append(step.new_pod(*names))
        step.namespace.set_status("pod", names[-1], terminated("OOMKilled", 137))
    with pytest.raises(TrainJobError, match=r"failed: OOMKilled \(exit code 137\)"):
        step.ended.result(timeout=120)
    assert not step.is_there
    assert "can't be shown" not in capsys.readouterr().out, "its rights are enough"


def test_a_pod_that_is_evicted_is_replaced_and_costs_no_restart(step: Step) -> None:
    names: list[str] = []
    why = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    for _ in range(4):
        names.append(step.new_pod(*names))
        status = terminated("Error", 143)
        step.namespace.set_status("pod", names[-1], {**status, "conditions": [why]})
    step.new_pod(*names)
    assert step.restarts() == 0
    assert step.is_there
    step.says("is taken away: EvictionByEvictionAPI")


def test_a_job_that_is_preempted_is_followed_until_it_goes_on(step: Step) -> None:
    """Kueue ends pods by suspending their TrainJob."""
    first = step.new_pod()
    suspend(step, True)
    step.says("is suspended")
    eventually(lambda: not step.pods(), "its pods are gone")
    suspend(step, False)
    assert step.new_pod() != first
    assert step.restarts() == 0


def test_a_job_leaves_with_the_pod_of_its_step(step: Step) -> None:
    """A step that was killed leaves nothing that trains on."""
    step.die()
    eventually(lambda: not step.is_there, "the TrainJob is gone")
    eventually(lambda: not step.pods(), "its pods are gone")


def test_a_step_that_is_started_again_takes_the_job_on_and_keeps_it(step: Step) -> None:
    pod = step.new_pod()
    successor = Step(step.namespace, step.job).start()
    successor.says("is there: taken on")
    step.die()
    eventually(
        lambda: not step.namespace.kubectl("get", "pod", step.owner["name"], "--ignore-not-found"),
        "the first step's pod is gone",
    )
    (owner,) = step.namespace.get("trainjob", step.job.name)["metadata"]["ownerReferences"]
    assert owner["uid"] == successor.owner["uid"]
    assert step.new_pod() == pod, "it trains on"
    successor.die()
    eventually(lambda: not step.is_there, "the TrainJob is gone with its new owner")


def test_a_job_of_other_work_gives_way_with_its_pods(step: Step) -> None:
    pod = step.new_pod()
    other = Step(step.namespace, fold_job(replace(PODS, image="registry.k8s.io/pause:3.9"))).start()
    other.says("had other settings")
    other.says("created: fold 1")
    found = step.namespace.get("trainjob", step.job.name)["metadata"]["annotations"][WORK]
    assert found == other.job.work != step.job.work
    assert other.new_pod(pod) != pod
    step.says("was deleted before it was done")


def test_a_deletion_that_does_not_end_is_ended_and_the_job_made_again(step: Step) -> None:
    """In the foreground the Trainer makes the JobSet again and again."""
    step.namespace.kubectl(
        "delete", "trainjob", step.job.name, "--cascade=foreground", "--wait=false"
    )
    step.says("was deleted before it was done")
    again = Step(step.namespace, step.job).start()
    again.says("created: fold 1")
    found = step.namespace.get("trainjob", step.job.name)["metadata"]
    assert "deletionTimestamp" not in found
    assert found["ownerReferences"][0]["uid"] == again.owner["uid"]


def quota(**hard: str) -> dict[str, Any]:
    spec = {"hard": {name.replace("__", "/"): value for name, value in hard.items()}}
    metadata = {"name": "few"}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec}


def count_trainjobs(most: int) -> dict[str, Any]:
    return quota(**{"count__trainjobs.trainer.kubeflow.org": str(most)})


def test_a_quota_of_jobs_is_waited_for_by_its_own_words(namespace: Namespace) -> None:
    install(namespace)
    namespace.create(count_trainjobs(0))
    eventually(lambda: namespace.get("resourcequota", "few")["status"].get("hard"), "it counts")
    step = Step(namespace, fold_job()).start()
    step.says("exceeded quota: few, requested: count/trainjobs.trainer.kubeflow.org=1")
    namespace.apply(count_trainjobs(1))
    step.says("created: fold 1")
    namespace.kubectl("delete", "trainjobs", "--all", "--cascade=background")


def test_a_quota_of_pods_is_said(namespace: Namespace) -> None:
    install(namespace)
    namespace.create(quota(**{"requests.memory": "100Mi"}))
    step = Step(namespace, fold_job())
    # The step's own pod asks for nothing, and would be refused as well.
    namespace.kubectl("delete", "resourcequota", "few")
    step.start()
    needs_controllers(step)
    namespace.create(quota(**{"requests.memory": "100Mi"}))
    eventually(lambda: namespace.get("resourcequota", "few")["status"].get("hard"), "it counts")
    namespace.kubectl("delete", "pod", step.new_pod(), "--force", "--grace-period=0")
    step.says("exceeded quota: few, requested: requests.memory=1Gi")
    clear(step)


def test_what_no_node_can_take_is_said(step: Step) -> None:
    pod = step.new_pod()
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    message = "0/9 nodes are available: 9 node(s) didn't match Pod's node affinity/selector"
    step.namespace.set_status("pod", pod, {"conditions": [{**condition, "message": message}]})
    step.says("waits: Unschedulable")


def test_a_missing_runtime_is_named_with_what_to_do(namespace: Namespace) -> None:
    namespace.kubectl("apply", "--filename=k8s/trainer/rbac.yaml")
    step = Step(namespace, fold_job()).start()
    eventually(lambda: step.ended.done() or step.pods(), "the webhook's answer")
    error = step.ended.exception(timeout=0) if step.ended.done() else None
    if error is None:
        pytest.skip("no webhook of Kubeflow Trainer runs")
    assert "kubectl apply --kustomize k8s/trainer" in str(error)


def test_missing_rights_are_named_with_what_to_do(namespace: Namespace) -> None:
    namespace.apply(runtime())
    step = Step(namespace, fold_job()).start()
    with pytest.raises(TrainJobError, match=r"cannot get resource(.|\n)*k8s/trainer"):
        step.ended.result(timeout=60)


def test_the_runtime_limits_nothing_by_itself() -> None:
    """A limit without a request breaks the listing of runtimes in Kubeflow's own client."""
    (container,) = pod_of_runtime(runtime())["containers"]
    assert "resources" not in container


@pytest.mark.usefixtures("kueue")
def test_a_job_in_a_queue_says_what_it_waits_for(namespace: Namespace) -> None:
    install(namespace)
    step = Step(namespace, fold_job(replace(PODS, queue="night"))).start()
    step.says("is suspended")
    step.says("waits in Kueue's queue: LocalQueue night doesn't exist")
    labels = namespace.get("trainjob", step.job.name)["metadata"]["labels"]
    assert labels[QUEUE] == "night"
    namespace.kubectl("delete", "trainjobs", "--all", "--cascade=background")
