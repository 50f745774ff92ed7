"""A fold's TrainJob, by Kubernetes' own client, on a server that speaks its API."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from components.resources import Resources
from components.train_jobs import FoldJob, FoldPods, TrainJobError, TrainJobs, running
from components.train_jobs import cluster as calls
from components.train_jobs.job import REPLICATED_JOB, RUNTIME, WORK
from detector.errors import PreemptedError
from detector.patience import VARIABLE
from tests.components.cluster import (
    JSON,
    NAMESPACE,
    Cluster,
    Fault,
    Hang,
    Turn,
    cluster,
    container,
    cut_off,
    ended,
    killed,
    pod,
    refusal,
)

TRAINER = Path(__file__).parents[2] / "k8s" / "trainer"
PODS = FoldPods("detsweep/trainer:1", 4, Resources("4", "8", "24Gi", "32Gi"), "8Gi")
JOB = FoldJob("s3://bucket/run", "abc", 2, PODS)
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "detsweep-abc-impl-1", "uid": "step-1"}
RUNNING = Turn(pods=(pod("n-0", "Running"),))
DONE = Turn(ended("Complete"), (pod("n-0", "Succeeded"),))
LOG = {"n-0": "epoch 1/2\nepoch 2/2\n"}
QUOTA = 'trainjobs "x" is forbidden: exceeded quota: few, requested: count/trainjobs=1'
RIGHTS = 'trainjobs is forbidden: User "system:serviceaccount:a:b" cannot create resource'


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "20")
    monkeypatch.setattr(calls, "_TIMEOUT_S", (0.5, 0.5))


def run(
    server: Cluster,
    lines: list[str],
    job: FoldJob = JOB,
    write: Callable[[str], None] | None = None,
) -> None:
    settings = client.Configuration(host=server.url)
    settings.retries = False
    api = client.ApiClient(settings)
    TrainJobs(api, NAMESPACE, OWNER, write or lines.append, poll_s=0.01).run(job)


def run_until(server: Cluster, event: threading.Event, job: FoldJob = JOB) -> list[str]:
    """Run until SIGTERM, which comes with `event`; what was said."""
    lines: list[str] = []

    def terminate() -> None:
        event.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate)
    thread.start()
    try:
        with pytest.raises(PreemptedError):
            run(server, lines, job)
    finally:
        event.set()
        thread.join()
    return lines


def said(line: str, event: threading.Event, lines: list[str]) -> Callable[[str], None]:
    """Writes into `lines`, and sets `event` with the first that has `line` in it."""

    def write(written: str) -> None:
        lines.append(written)
        if line in written:
            event.set()

    return write


def test_a_job_is_created_heard_and_removed_when_it_is_done() -> None:
    lines: list[str] = []
    with cluster([RUNNING, RUNNING, DONE], LOG) as server:
        run(server, lines)
    assert [job["metadata"]["name"] for job in server.created] == [JOB.name]
    assert lines[0] == f"TrainJob {JOB.name} created: fold 2 on 4 GPUs"
    assert lines[1:3] == ["n-0 │ epoch 1/2", "n-0 │ epoch 2/2"]
    assert lines[-1] == f"TrainJob {JOB.name} is done"
    assert server.deleted == [JOB.name]


def test_a_job_belongs_to_the_pod_of_its_step_and_leaves_in_the_background() -> None:
    with cluster([DONE], LOG) as server:
        run(server, [])
    (created,), (options,) = server.created, server.options
    assert created["metadata"]["ownerReferences"] == [OWNER]
    assert options["propagationPolicy"] == "Background"
    assert options["preconditions"] == {"uid": "uid-2", "resourceVersion": "2"}


def test_a_failure_names_its_reason_and_the_job_is_removed() -> None:
    failed = Turn(ended("Failed", "jobset failed"), (killed("n-0", "OOMKilled", 137),))
    with (
        cluster([RUNNING, failed], LOG) as server,
        pytest.raises(TrainJobError, match=r"failed: OOMKilled \(exit code 137\)") as raised,
    ):
        run(server, [])
    assert raised.value.where == "JobsFailed: jobset failed"
    assert "--memory" in (raised.value.remedy or "")
    assert server.deleted == [JOB.name]


def test_a_failure_names_what_its_earlier_pods_ended_of_too() -> None:
    first, second = (Turn(pods=(killed(name, "OOMKilled", 137),)) for name in ("n-a", "n-b"))
    failed = Turn(ended("Failed"), (killed("n-c", "Error", 1),))
    lines: list[str] = []
    logs = dict.fromkeys(["n-a", "n-b", "n-c"], "")
    with (
        cluster([first, first, second, failed], logs) as server,
        pytest.raises(TrainJobError, match=r"OOMKilled \(exit code 137\), 2 times; Error"),
    ):
        run(server, lines)
    assert "n-a ended: OOMKilled (exit code 137)" in lines


def test_pods_that_were_taken_away_or_asked_to_end_are_not_why_a_job_failed() -> None:
    taken = killed("n-a", "Error", 137)
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "Preempted"}
    taken["status"]["conditions"] = [{**condition, "message": "by another"}]
    pods = Turn(pods=(taken, killed("n-b", "Error", 143)))
    failed = Turn(ended("Failed", "of a fault"), (killed("n-c", "Error", 1),))
    lines: list[str] = []
    logs = dict.fromkeys(["n-a", "n-b", "n-c"], "")
    with (
        cluster([pods, pods, failed], logs) as server,
        pytest.raises(TrainJobError, match=r"failed: Error \(exit code 1\)\n"),
    ):
        run(server, lines)
    assert "n-a is taken away: Preempted: by another" in lines


# Waits


def waiting(reason: str, message: str) -> JSON:
    state = container(waiting={"reason": reason, "message": message})
    return pod("n-0", "Pending", containerStatuses=[state])


def unscheduled(message: str) -> JSON:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return pod("n-0", "Pending", conditions=[{**condition, "message": message}])


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (unscheduled("Insufficient nvidia.com/gpu"), "Unschedulable: Insufficient nvidia.com/gpu"),
        (waiting("ImagePullBackOff", "Back-off"), "ImagePullBackOff: Back-off"),
        (waiting("CreateContainerConfigError", "no"), "CreateContainerConfigError: no"),
    ],
    ids=["unschedulable", "image", "configuration"],
)
def test_why_a_pod_waits_is_said_once(found: JSON, line: str) -> None:
    lines: list[str] = []
    turn = Turn(pods=(found,))
    with cluster([turn, turn, turn, DONE], LOG) as server:
        run(server, lines)
    assert lines.count(f"n-0 waits: {line}") == 1


def test_an_image_whose_name_is_not_valid_is_not_waited_for() -> None:
    turn = Turn(pods=(waiting("InvalidImageName", "couldn't parse"),))
    with (
        cluster([turn]) as server,
        pytest.raises(TrainJobError, match="no valid name: 'detsweep/trainer:1'"),
    ):
        run(server, [])
    assert server.deleted == [JOB.name]


def event(about: str, name: str, reason: str, message: str) -> JSON:
    involved = {"kind": about, "name": name}
    metadata = {"name": "e"}
    return {
        "metadata": metadata,
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "type": "Warning",
    }


def test_what_the_cluster_says_of_a_job_without_pods_is_said_once() -> None:
    lines: list[str] = []
    refused = 'Error creating: pods "x-{}" is forbidden: exceeded quota: gpus'
    with cluster([Turn(), Turn(), Turn(), DONE], LOG) as server:
        server.events = [
            event("Job", f"{JOB.name}-node-0", "FailedCreate", refused.format(number))
            for number in range(3)
        ]
        server.events += [event("Job", "another", "FailedCreate", "of no concern")]
        run(server, lines)
    expected = (
        f"Job {JOB.name}-node-0: FailedCreate: Error creating: its pod is forbidden: "
        "exceeded quota: gpus"
    )
    assert lines.count(expected) == 1
    assert not any("of no concern" in line for line in lines)


def test_a_job_that_no_controller_takes_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_UNTOUCHED_S", 0.0)
    lines: list[str] = []
    known = threading.Event()
    with cluster([Turn()]) as server:
        server.put(JOB.manifest(OWNER))
        server.jobs[JOB.name]["status"] = {}
        write = said("no controller has taken it up", known, lines)
        # Once it was said, the job ends.
        after(known, server.jobs.clear)
        with pytest.raises(TrainJobError, match="was deleted before it was done"):
            run(server, lines, write=write)
    assert sum("no controller has taken it up" in line for line in lines) == 1


def test_a_suspended_job_names_what_its_queue_waits_for() -> None:
    lines: list[str] = []
    suspended = Turn({"type": "Suspended", "status": "True"})
    queued = replace(JOB, pods=replace(PODS, queue="night"))
    with cluster([suspended, suspended, suspended, DONE], LOG) as server:
        quota = {"type": "QuotaReserved", "status": "False", "message": "4 more GPUs needed"}
        status = {"conditions": [quota]}
        for uid in ("uid-2", "another"):
            owners = {"ownerReferences": [{"uid": uid}]}
            server.workloads.append({"metadata": owners, "status": status})
        run(server, lines, queued)
    assert lines.count(f"TrainJob {JOB.name} is suspended") == 1
    assert lines.count(f"TrainJob {JOB.name} waits in Kueue's queue: 4 more GPUs needed") == 1


def test_a_right_that_only_explains_may_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with cluster([Turn(), Turn(), DONE], LOG) as server:
        server.faults["GET events"] = [refusal(403, "events is forbidden")] * 2
        run(server, lines)
    assert lines[-1] == f"TrainJob {JOB.name} is done"
    assert capsys.readouterr().out.count("events can't be shown: events is forbidden") == 1


# A job that is there already


def test_a_running_job_for_the_same_work_is_taken_on_after_a_restart() -> None:
    lines: list[str] = []
    with cluster([RUNNING, RUNNING, DONE], LOG) as server:
        server.put(JOB.manifest({**OWNER, "uid": "step-0"}))
        run(server, lines)
    assert server.created == []
    assert lines[0] == f"TrainJob {JOB.name} is there: taken on"
    assert {"tailLines": "20"}.items() <= next(q for q in server.queries if "follow" in q).items()
    assert server.deleted == [JOB.name], "it is this step's now"


@pytest.mark.parametrize(
    "other",
    [
        replace(PODS, image="detsweep/trainer:2"),
        replace(PODS, gpus=2),
        replace(PODS, nodes=2),
        replace(PODS, node_selector={"zone": "b"}),
        replace(PODS, queue="night"),
    ],
    ids=["image", "gpus", "nodes", "selector", "queue"],
)
def test_a_job_for_other_work_is_made_again(other: FoldPods) -> None:
    lines: list[str] = []
    with cluster([RUNNING, RUNNING, DONE], LOG) as server:
        server.put(replace(JOB, pods=other).manifest(OWNER))
        run(server, lines)
    assert [job["metadata"]["annotations"][WORK] for job in server.created] == [JOB.work]
    assert server.deleted == [JOB.name, JOB.name]
    assert lines[0] == f"TrainJob {JOB.name} of before had other settings: it is made again"


@pytest.mark.parametrize("how", ["Failed", "Complete"])
def test_a_job_that_had_ended_before_is_made_again(how: str) -> None:
    with cluster([Turn(ended(how)), RUNNING, DONE], LOG) as server:
        server.put(JOB.manifest(OWNER))
        run(server, [])
    assert len(server.created) == 1
    assert server.deleted == [JOB.name, JOB.name]


def test_a_dying_job_is_not_taken_on_but_waited_for() -> None:
    lines: list[str] = []
    with cluster([RUNNING, RUNNING, DONE], LOG) as server:
        server.put(JOB.manifest(OWNER), deletionTimestamp="2026-01-01T00:00:00Z")
        run(server, lines)
    assert len(server.created) == 1
    assert lines[0] == f"TrainJob {JOB.name} is being deleted: its end is waited for"
    # It changes all the time, so that it can't be met as it was seen.
    assert list(server.options[0]["preconditions"]) == ["uid"]


def test_what_an_earlier_job_has_left_is_gone_before_the_next_is_made() -> None:
    lines: list[str] = []
    with cluster([RUNNING, DONE], LOG) as server:
        server.job_sets = 3
        run(server, lines)
    before = server.asked[: server.asked.index("POST trainjobs")]
    assert before.count("GET jobsets") == 4
    assert lines[0] == f"TrainJob {JOB.name} waits until the pods of an earlier one are gone"


def test_a_job_that_another_step_has_taken_on_is_left_to_it() -> None:
    with cluster([RUNNING, DONE], LOG) as server:

        def take(line: str) -> None:
            if "created" in line:
                server.jobs[JOB.name]["metadata"]["ownerReferences"] = [{"uid": "step-2"}]

        run(server, [], write=take)
    assert server.deleted == []


def test_a_job_that_somebody_deleted_is_an_error() -> None:
    with cluster([RUNNING], LOG) as server:

        def delete(line: str) -> None:
            if "epoch 2" in line:
                server.jobs.clear()

        with pytest.raises(TrainJobError, match="was deleted before it was done"):
            run(server, [], write=delete)


# An API that does not answer as it should

CALLS = (
    "GET trainjobs",
    "POST trainjobs",
    "GET jobsets",
    "GET pods",
    "GET events",
    "DELETE trainjobs",
)
FAULTS: dict[str, Fault] = {
    "429": refusal(429, "too many requests"),
    "500": refusal(500, "failed calling webhook: connection refused"),
    "503": refusal(503, "starting"),
    "reset": cut_off,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_that_fails_is_asked_for_again(call: str, fault: str) -> None:
    lines: list[str] = []
    with cluster([Turn(), RUNNING, DONE], LOG) as server:
        server.faults[call] = [FAULTS[fault]] * 2
        run(server, lines)
    assert lines[-1] == f"TrainJob {JOB.name} is done"
    assert len(server.created) == 1
    assert server.deleted == [JOB.name]


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_does_not_come_is_asked_for_again(
    call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    hang = Hang()
    with cluster([Turn(), RUNNING, DONE], LOG) as server:
        server.faults[call] = [hang]
        run(server, lines)
        hang.over.set()
    assert lines[-1] == f"TrainJob {JOB.name} is done"
    assert "waiting for the cluster's API" in capsys.readouterr().out
    assert server.deleted == [JOB.name]


def test_a_job_whose_creation_was_not_confirmed_is_this_steps_all_the_same() -> None:
    lines: list[str] = []
    with cluster([RUNNING, DONE], LOG) as server:
        server.late_faults["POST trainjobs"] = [cut_off]
        run(server, lines)
    assert len(server.created) == 1
    assert server.deleted == [JOB.name]
    assert lines[-1] == f"TrainJob {JOB.name} is done"


def test_an_api_that_stays_away_is_an_error_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "0.1")
    with cluster() as server:
        server.faults["GET trainjobs"] = [FAULTS["500"]] * 1000
        with pytest.raises(TrainJobError, match="answers 500: failed calling webhook"):
            run(server, [])


@pytest.mark.parametrize("fault", ["503", "reset"])
def test_a_job_outlives_an_api_that_stays_away(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0.1")
    with cluster([RUNNING], LOG) as server:
        server.faults["GET log"] = [FAULTS[fault]] * 1000

        def away(line: str) -> None:
            if "created" in line:
                server.faults["GET pods"] = [FAULTS[fault]] * 1000

        with pytest.raises(TrainJobError, match="takes the job on, which trains on by itself"):
            run(server, [], write=away)
        assert list(server.jobs) == [JOB.name]


def test_a_log_that_breaks_off_is_read_on_without_a_line_twice() -> None:
    lines: list[str] = []
    with cluster([RUNNING] * 20 + [DONE], LOG) as server:
        server.faults["GET log"] = [cut_off]
        run(server, lines)
    assert [line for line in lines if "epoch" in line] == ["n-0 │ epoch 1/2", "n-0 │ epoch 2/2"]
    assert server.asked.count("GET log") > 2


# Asked to end


@pytest.mark.timeout(60)
def test_sigterm_removes_the_job() -> None:
    running_now = threading.Event()
    lines: list[str] = []
    with cluster([RUNNING], LOG) as server:
        after(running_now, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(PreemptedError):
            run(server, lines, write=said("epoch 2", running_now, lines))
    assert server.deleted == [JOB.name]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("call", ["GET trainjobs", "POST trainjobs", "GET pods"])
def test_sigterm_is_heard_while_an_answer_does_not_come(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_TIMEOUT_S", (600.0, 600.0))
    hang = Hang()
    with cluster([RUNNING], LOG) as server:
        server.faults[call] = [hang]
        run_until(server, hang.begun)
        hang.over.set()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("wait", ["quota", "dying", "left", "outage"])
def test_sigterm_is_heard_in_each_wait(wait: str) -> None:
    with cluster([RUNNING], LOG) as server:
        begun = threading.Event()

        def fault(answer: Fault) -> Fault:
            def begins() -> Any:
                begun.set()
                return answer()

            return begins

        match wait:
            case "quota":
                server.faults["POST trainjobs"] = [fault(refusal(403, QUOTA))] * 1000
            case "dying":
                server.put(JOB.manifest(), deletionTimestamp="2026-01-01T00:00:00Z")
                server.faults["DELETE trainjobs"] = [fault(refusal(409, "changed"))] * 1000
            case "left":
                server.faults["GET jobsets"] = [fault(lambda: (200, {}))] * 1000
            case "outage":
                server.faults["GET trainjobs"] = [fault(FAULTS["503"])] * 1000
        run_until(server, begun)
    assert server.created == []


# Refusals


def test_a_quota_is_waited_for_and_named() -> None:
    lines: list[str] = []
    with cluster([RUNNING, DONE], LOG) as server:
        server.faults["POST trainjobs"] = [refusal(403, QUOTA)] * 3
        run(server, lines)
    assert lines[0] == f"TrainJob {JOB.name} waits: {QUOTA}"
    assert len(server.created) == 1


@pytest.mark.parametrize(
    ("status", "message", "remedy"),
    [
        (403, RIGHTS, "let the pipeline's service account work with TrainJobs"),
        (403, "denied: specified trainingRuntime must be created before", "create the runtime"),
        (403, "denied the request: runtime 'detsweep-fold' not found", "create the runtime"),
        (404, "404 page not found", "install Kubeflow Trainer 2.3"),
        (400, 'strict decoding error: unknown field "spec.runtimePatches"', "2.3 or newer"),
        (422, "spec.trainer.numNodes: Invalid value", ""),
    ],
    ids=["rights", "runtime", "runtime by Kueue", "no trainer", "old trainer", "invalid"],
)
def test_a_refusal_is_told_in_the_apis_words_with_what_to_do(
    status: int, message: str, remedy: str
) -> None:
    with cluster() as server:
        server.faults["POST trainjobs"] = [refusal(status, message)]
        with pytest.raises(TrainJobError) as raised:
            run(server, [])
    assert message in raised.value.problem or status == 400
    assert remedy in (raised.value.remedy or "")
    assert server.deleted == []


def test_outside_of_a_cluster_there_is_nothing_to_train_on() -> None:
    with pytest.raises(TrainJobError, match="gpus_per_fold above 1 needs Kubeflow"):
        TrainJobs.of_this_pod()


# The manifest


def test_each_fold_of_each_run_has_a_job_of_its_own() -> None:
    others = [
        replace(JOB, fold=3),
        replace(JOB, sweep="abd"),
        replace(JOB, store_url="s3://bucket/other"),
    ]
    names = {job.name for job in [JOB, *others]}
    assert len(names) == 4
    # The Trainer and JobSet append to it, and 63 characters are the most.
    assert all(len(name) <= 40 and name.replace("-", "").isalnum() for name in names)


def pod_patch(pods: FoldPods) -> JSON:
    (patch,) = replace(JOB, pods=pods).manifest()["spec"]["runtimePatches"]
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert job["name"] == REPLICATED_JOB
    found: JSON = job["template"]["spec"]["template"]["spec"]
    return found


def test_nodes_tolerations_affinity_and_pull_secrets_reach_the_pods() -> None:
    taint = {"key": "gpu", "operator": "Exists"}
    affinity: dict[str, Any] = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}
    }
    found = pod_patch(
        replace(
            PODS,
            node_selector={"zone": "a"},
            tolerations=[taint],
            node_affinity=affinity,
            pull_secrets=["registry"],
            shared_memory="2Gi",
        )
    )
    assert found == {
        "nodeSelector": {"zone": "a"},
        "tolerations": [taint],
        "affinity": {"nodeAffinity": affinity},
        "imagePullSecrets": [{"name": "registry"}],
        "volumes": [
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}
        ],
    }
    assert list(pod_patch(PODS)) == ["volumes"]


def test_a_pod_asks_for_what_its_processes_need_together() -> None:
    trainer = JOB.manifest()["spec"]["trainer"]
    assert trainer["resourcesPerNode"] == {
        "requests": {"cpu": "16", "memory": "96Gi", "nvidia.com/gpu": "4"},
        "limits": {"cpu": "32", "memory": "128Gi", "nvidia.com/gpu": "4"},
    }
    assert trainer["env"] == [{"name": "OMP_NUM_THREADS", "value": "4"}]


def test_without_gpus_none_is_asked_for() -> None:
    trainer = replace(JOB, pods=replace(PODS, gpu="", gpus=2, nodes=3)).manifest()["spec"][
        "trainer"
    ]
    assert set(trainer["resourcesPerNode"]["limits"]) == {"cpu", "memory"}
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (3, 2)


def test_kueues_queue_is_named_by_a_label() -> None:
    labels = replace(JOB, pods=replace(PODS, queue="night")).manifest()["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "night"
    assert "kueue.x-k8s.io/queue-name" not in JOB.manifest()["metadata"]["labels"]


def test_an_unknown_field_is_refused_by_the_server_and_not_dropped() -> None:
    with cluster([DONE], LOG) as server:
        run(server, [])
    created = server.queries[server.asked.index("POST trainjobs")]
    assert created["fieldValidation"] == "Strict"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((TRAINER / name).read_text(encoding="utf-8")))


def test_the_rights_are_those_that_are_used() -> None:
    queued = replace(JOB, pods=replace(PODS, queue="night"))
    with cluster([Turn(), RUNNING, DONE], LOG) as server:
        run(server, [], queued)
        server.turns = [RUNNING, DONE]
        server.put(queued.manifest({**OWNER, "uid": "step-0"}))
        run(server, [], queued)
    verbs = {"POST": "create", "DELETE": "delete", "PATCH": "patch", "GET": "get"}
    used = set()
    for method, resource in (call.split() for call in server.asked):
        listed = resource in ("pods", "events", "workloads")
        name = "pods/log" if resource == "log" else resource
        used.add((name, "list" if listed else verbs[method]))
    role, _ = documents("rbac.yaml")
    given = {(name, verb) for r in role["rules"] for name in r["resources"] for verb in r["verbs"]}
    assert given == used


def test_job_and_runtime_are_those_of_the_trainers_api() -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models", reason="it is not installed")
    (runtime,) = documents("runtime.yaml")
    assert runtime["metadata"]["name"] == RUNTIME
    for model, document in (
        (models.TrainerV1alpha1TrainJob, JOB.manifest(OWNER)),
        (models.TrainerV1alpha1TrainingRuntime, runtime),
    ):
        read = model.from_dict(document)
        # What a model does not know it drops.
        assert read.to_dict() == document


def after(event: threading.Event, action: Callable[[], object]) -> None:
    """Do something in a thread of its own once an event has come."""

    def wait_and_act() -> None:
        event.wait()
        action()

    threading.Thread(target=wait_and_act).start()
