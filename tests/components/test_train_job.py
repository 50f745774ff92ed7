"""A fold's TrainJob, by Kubernetes' own client, on a server that speaks its API."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from components.train_job import RUNTIME, FoldJob, TrainJobError, TrainJobs
from tests.components.cluster import NAMESPACE, Cluster, Turn, cluster, ended, killed, pod

TRAINER = Path(__file__).parents[2] / "k8s" / "trainer"
JOB = FoldJob("s3://bucket/run", "abc", 2, gpus=4, image="detsweep/trainer:1")
RUNNING = Turn(pods=(pod("n-0", "Running"),))
DONE = Turn(ended("Complete"), (pod("n-0", "Succeeded"),))
LOG = {"n-0": "epoch 1/2\nepoch 2/2\n"}


def run(server: Cluster, lines: list[str], job: FoldJob = JOB) -> None:
    api = client.ApiClient(client.Configuration(host=server.url))
    TrainJobs(api, NAMESPACE, lines.append, poll_s=0.01).run(job)


def test_a_job_is_created_heard_and_removed_when_it_is_done() -> None:
    lines: list[str] = []
    with cluster([RUNNING, RUNNING, DONE], LOG) as server:
        run(server, lines)
    assert [job["metadata"]["name"] for job in server.created] == [JOB.name]
    assert lines[0] == f"TrainJob {JOB.name} created: fold 2 on 4 GPUs"
    assert lines[1:3] == ["n-0 │ epoch 1/2", "n-0 │ epoch 2/2"]
    assert lines[-1] == f"TrainJob {JOB.name} is done"
    assert server.deleted == [JOB.name]
    assert set(server.asked_for) == {f"jobset.sigs.k8s.io/jobset-name={JOB.name}"}


def test_a_failure_names_its_reason_and_the_job_is_removed() -> None:
    failed = Turn(ended("Failed", "jobset failed"), (killed("n-0", "OOMKilled", 137),))
    with (
        cluster([RUNNING, failed], LOG) as server,
        pytest.raises(
            TrainJobError, match=r"n-0 ended: OOMKilled \(exit code 137\).*jobset failed"
        ),
    ):
        run(server, [])
    assert server.deleted == [JOB.name]


def test_why_a_pod_waits_is_told_once() -> None:
    lines: list[str] = []
    short = {"type": "PodScheduled", "status": "False", "message": "Insufficient nvidia.com/gpu"}
    waiting = Turn(pods=(pod("n-0", "Pending", conditions=[short]),))
    with cluster([waiting, waiting, waiting, DONE], LOG) as server:
        run(server, lines)
    assert lines.count("n-0 waits: Insufficient nvidia.com/gpu") == 1


def test_a_running_job_is_taken_on_after_a_restart() -> None:
    lines: list[str] = []
    with cluster([RUNNING, RUNNING, DONE], LOG) as server:
        server.jobs[JOB.name] = JOB.manifest()
        run(server, lines)
    assert server.created == []
    assert lines[0] == f"TrainJob {JOB.name} is running: taken on"
    assert server.tails[0] == "20"


def test_a_job_that_had_failed_before_is_made_anew() -> None:
    with cluster([Turn(ended("Failed")), RUNNING, DONE], LOG) as server:
        server.jobs[JOB.name] = JOB.manifest()
        run(server, [])
    assert len(server.created) == 1
    assert server.deleted == [JOB.name, JOB.name]


@pytest.mark.timeout(60)
def test_sigterm_removes_the_job() -> None:
    lines: list[str] = []

    def terminate_once_it_runs() -> None:
        while len(lines) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate_once_it_runs).start()
    with (
        cluster([RUNNING], LOG) as server,
        pytest.raises(TrainJobError, match="told to end before"),
    ):
        run(server, lines)
    assert server.deleted == [JOB.name]


def test_a_server_that_is_away_for_a_moment_is_waited_for() -> None:
    lines: list[str] = []
    with cluster([RUNNING, Turn(status=503), RUNNING, DONE], LOG) as server:
        run(server, lines)
    assert lines[-1] == f"TrainJob {JOB.name} is done"


def test_a_job_that_somebody_deleted_is_an_error() -> None:
    lines: list[str] = []
    with cluster([RUNNING], LOG) as server:

        def delete_once_it_runs() -> None:
            while len(lines) < 2:
                time.sleep(0.01)
            server.jobs.clear()

        threading.Thread(target=delete_once_it_runs).start()
        with pytest.raises(TrainJobError, match="was deleted before it was done"):
            run(server, lines)


def test_missing_rights_say_what_to_apply() -> None:
    with (
        cluster(forbidden=True) as server,
        pytest.raises(TrainJobError, match=r"answers 403(.|\n)*k8s/trainer"),
    ):
        run(server, [])


def test_outside_of_a_cluster_there_is_nothing_to_train_on() -> None:
    with pytest.raises(TrainJobError, match="gpus_per_fold above 1 needs Kubeflow"):
        TrainJobs.of_this_pod()


def test_each_fold_of_each_run_has_a_job_of_its_own() -> None:
    others = [
        FoldJob("s3://bucket/run", "abc", 3, 4, "i"),
        FoldJob("s3://bucket/run", "abd", 2, 4, "i"),
        FoldJob("s3://bucket/other", "abc", 2, 4, "i"),
    ]
    names = {job.name for job in [JOB, *others]}
    assert len(names) == 4
    # The Trainer and JobSet append to it, and 63 characters are the most.
    assert all(len(name) <= 40 and name.replace("-", "").isalnum() for name in names)


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((TRAINER / name).read_text()))


def test_the_rights_are_those_that_are_used() -> None:
    role, _ = documents("rbac.yaml")
    rights = {
        (r, verb) for rule in role["rules"] for r in rule["resources"] for verb in rule["verbs"]
    }
    assert rights == {
        ("trainjobs", "create"),
        ("trainjobs", "get"),
        ("trainjobs", "delete"),
        ("pods", "list"),
        ("pods/log", "get"),
    }


def test_job_and_runtime_are_those_of_the_trainers_api() -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models", reason="it is not installed")
    (runtime,) = documents("runtime.yaml")
    assert runtime["metadata"]["name"] == RUNTIME
    for model, document in (
        (models.TrainerV1alpha1TrainJob, JOB.manifest()),
        (models.TrainerV1alpha1TrainingRuntime, runtime),
    ):
        read = model.from_dict(document)
        # What a model does not know it drops.
        assert read.to_dict() == document
