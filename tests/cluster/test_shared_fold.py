"""A fold that really trains in a TrainJob's pods: on two nodes, through an eviction, a step that is
killed and a lack of memory. Two gloo processes, on CPUs."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from components.resources import Resources
from components.train_jobs import FoldPods, TrainJobError
from tests.cluster.cluster import Namespace, eventually
from tests.cluster.train_job import (
    POD_SECURITY,
    SMALL,
    STRICT,
    Step,
    fold_job,
    install,
    needs_controllers,
    pod_of_runtime,
    runtime,
    suspend,
)
from tests.tiny_run import overrides

pytestmark = [
    pytest.mark.node,
    pytest.mark.usefixtures("trainer", "jobset"),
    pytest.mark.timeout(900),
]

DATA = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
MOUNT = {"name": "data", "mountPath": "/data"}
PREPARE = """
from detector.data.synthetic.drawing import draw_receipts
from detector.steps.prepare import prepare
from detector.choosing.ranking import Choice
from detector.steps.run import Run
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import TrialRecord
from pathlib import Path

draw_receipts(Path("/data/pages"), train=9, held_out=3, seed=1)
run = Run("/data/run", "abc")
prepare(run, {words})
trial = TrialRecord(0, {{"models.optimizer.lr": 0.002}}, "finished", {{1: 0.5}})
choice = Choice(0, [], ["It is the only one."])
run.write_outcome(
    SweepOutcome("abc", None, True, "val/hmean", "maximize", [trial], (), choice)
)
"""


@pytest.fixture
def pods(namespace: Namespace, trainer_image: str) -> Iterator[FoldPods]:
    """Two pods of one process each. The run's store is on a volume that they share."""
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    namespace.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": claim,
        }
    )
    manifest = runtime()
    pod = pod_of_runtime(manifest)
    pod["volumes"].append(DATA)
    pod["containers"][0]["volumeMounts"].append(MOUNT)
    install(namespace, manifest)
    yield FoldPods(trainer_image, 1, SMALL, "256Mi", nodes=2, gpu="")
    namespace.kubectl("delete", "trainjobs", "--all", "--cascade=background")


def prepare(namespace: Namespace, image: str, epochs: int) -> None:
    words = [*overrides(epochs), "data.crop_size=64", "data.path=/data/pages"]
    container = {
        "name": "main",
        "image": image,
        "command": ["python", "-c", PREPARE.format(words=json.dumps(words))],
        "securityContext": STRICT,
        "volumeMounts": [MOUNT, {"name": "tmp", "mountPath": "/tmp"}],
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "securityContext": POD_SECURITY,
        "containers": [container],
        "volumes": [DATA, {"name": "tmp", "emptyDir": {}}],
    }
    metadata = {"name": "prepare"}
    namespace.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    eventually(
        lambda: namespace.get("pod", "prepare")["status"].get("phase") == "Succeeded",
        "the store is prepared",
    )


def epochs(step: Step) -> list[int]:
    """Those that were trained, in their order."""
    seen = (re.search(r"epoch (\d+)/", line) for line in step.lines)
    return [int(found[1]) for found in seen if found]


def test_two_nodes_train_a_fold(namespace: Namespace, pods: FoldPods) -> None:
    prepare(namespace, pods.image, epochs=2)
    step = Step(namespace, fold_job(pods)).start()
    needs_controllers(step)
    step.ended.result(timeout=600)
    assert epochs(step) == [1, 2], step.lines
    # The second node's process has a part in it, and a voice of its own.
    names = {line.partition(" │ ")[0] for line in step.lines if " │ " in line}
    assert step.lines[-1] == f"TrainJob {step.job.name} is done", names
    assert not step.is_there


def test_a_fold_goes_on_after_what_a_cluster_does_to_its_pods(
    namespace: Namespace, pods: FoldPods
) -> None:
    prepare(namespace, pods.image, epochs=6)
    step = Step(namespace, fold_job(pods)).start()
    step.says("epoch 1/6", patience=300)
    evict(namespace, step.new_pod())
    step.says("epoch 3/6", patience=300)
    suspend(step, True)
    # One that ended by itself, beside the evicted one, stays to be looked at.
    eventually(lambda: not running(step), "none of its pods runs")
    suspend(step, False)
    step.says("epoch 4/6", patience=300)
    successor = Step(namespace, step.job).start()
    successor.says("taken on")
    step.die()
    successor.ended.result(timeout=600)
    trained = epochs(successor)
    assert trained[-1] == 6
    everything = epochs(step) + trained
    assert set(everything) == {1, 2, 3, 4, 5, 6}
    # What was said before the successor came may be said again, and nothing is trained twice.
    assert sorted(set(trained)) == trained


def running(step: Step) -> list[dict[str, Any]]:
    return [pod for pod in step.pods() if pod["status"]["phase"] in ("Pending", "Running")]


def evict(namespace: Namespace, pod: str) -> None:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{namespace.name}/pods/{pod}/eviction"
    namespace.cluster.kubectl("create", "--raw", path, "--filename=-", stdin=json.dumps(eviction))


def test_a_lack_of_memory_is_said_as_such(namespace: Namespace, pods: FoldPods) -> None:
    prepare(namespace, pods.image, epochs=1)
    little = Resources("50m", "2", "100Mi", "150Mi")
    step = Step(namespace, fold_job(replace(pods, nodes=1, resources=little))).start()
    with pytest.raises(TrainJobError, match="failed: OOMKilled") as raised:
        step.ended.result(timeout=600)
    assert "--memory" in (raised.value.remedy or "")
    assert not step.is_there


def test_an_image_that_is_nowhere_is_said(namespace: Namespace, pods: FoldPods) -> None:
    image = "localhost/detsweep/none:1"
    step = Step(namespace, fold_job(replace(pods, image=image))).start()
    step.says("ErrImagePull", patience=300)


def test_an_image_name_that_is_none_ends_the_job(namespace: Namespace, pods: FoldPods) -> None:
    step = Step(namespace, fold_job(replace(pods, image="No Image"))).start()
    with pytest.raises(TrainJobError, match="no valid name: 'No Image'"):
        step.ended.result(timeout=300)
    assert not step.is_there
