"""A whole run on plain Jobs, on a node: small, disturbed in every way, and finished by itself."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import Cluster, Namespace, eventually
from tests.cluster.overlay import write_overlay
from tests.cluster.stack import (
    Lines,
    Stack,
    evict,
    use_up_memory,
)
from tests.tiny_run import overrides

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]

AGENTS = "detsweep.io/step=agent"
LEADER = f"{AGENTS},batch.kubernetes.io/job-completion-index=0"
EPOCH = re.compile(r"(trial \d+ · )?epoch \d+/12 ")
SMALL = {
    "requests": {"cpu": "100m", "memory": "512Mi"},
    "limits": {"cpu": "2", "memory": "3Gi"},
}


@pytest.fixture
def stack(namespace: Namespace, trainer_image: str) -> Iterator[Stack]:
    installed = Stack.install(namespace, trainer_image)
    yield installed
    installed.remove()


class Run:
    """Overlay kind-cpu in the namespace of a stack, with trainings of seconds."""

    def __init__(
        self,
        stack: Stack,
        folder: Path,
        words: list[str],
        resources: dict[str, Any],
        pod: dict[str, Any] | None = None,
        labels: dict[str, str] | None = None,
    ):
        self.stack, self.namespace = stack, stack.namespace
        self.lines = Lines(stack.namespace, AGENTS)
        at = "/spec/template/spec/containers/0/resources"
        self.folder = write_overlay(
            folder,
            self.namespace.name,
            "kind-cpu",
            pod,
            {"op": "replace", "path": at, "value": resources},
            image=stack.image,
            settings={"DETSWEEP_OVERRIDES": " ".join(words)},
            labels=labels,
        )

    def start(self) -> None:
        self.namespace.kubectl("apply", f"--kustomize={self.folder}")

    def pod(self, index: int) -> str:
        """The running pod of an index, which may have to start first."""
        label = f"{AGENTS},batch.kubernetes.io/job-completion-index={index}"

        def running() -> list[str]:
            return [
                pod["metadata"]["name"]
                for pod in self.namespace.pods(label)
                if pod["status"]["phase"] == "Running"
                and "deletionTimestamp" not in pod["metadata"]
            ]

        return eventually(running, f"pod {index} runs", patience=300)[0]

    def delete(self, index: int) -> None:
        """What somebody does who deletes the running pod of an index."""
        self.namespace.kubectl("delete", "pod", self.pod(index), "--wait=false")

    def wait_for_end(self) -> None:
        """Until the Job is over.

        Raises:
            Failed: it has failed, or is not over in time.
        """

        def ends() -> dict[str, str]:
            conditions = self.namespace.conditions("job", "detsweep")
            return conditions if conditions.keys() & {"Complete", "Failed"} else {}

        assert "Complete" in eventually(ends, "the Job is over", patience=900)


def test_a_run_goes_through_evictions_deletions_and_lack_of_memory(
    stack: Stack, tmp_path: Path
) -> None:
    stack.draw_data(train=24, held_out=6)
    words = ["preset=quickstart", "trainer.max_epochs=12", "models.scheduler.T_max=12"]
    run = Run(stack, tmp_path, [*words, "folds.count=2"], SMALL)
    with run.lines.heard() as lines:
        run.start()
        lines.wait_for("trial 1 · epoch 1/12")
        with lines.hearing("trial 1 · resumed after epoch"):
            evict(run.namespace, run.pod(1))
        with lines.hearing("resumed after epoch"):
            run.delete(0)
        with lines.hearing("resumed after epoch"):
            use_up_memory(run.namespace, run.pod(1), 4096)
        # What is left is the leader's alone.
        since = lines.wait_for("trained before: 12 epochs")
        lines.wait_for("epoch 2/12", since)
        with lines.hearing("resumed after epoch"):
            use_up_memory(run.namespace, run.pod(0), 4096)
        with lines.hearing("resumed after epoch"):
            run.delete(0)
        lines.wait_for("measuring the folds and their ensembles")
        run.delete(0)
        run.wait_for_end()
    summary = stack.summary("s3://detsweep/runs/first")
    assert summary["folds"] == ["fold 0", "fold 1"]
    trials = stack.trials(summary["sweep"])
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3]
    assert {trial["state"] for trial in trials} <= {"finished", "stopped"}
    epochs = Counter(line for _, line in lines.said if EPOCH.match(line))
    assert not [line for line, count in epochs.items() if count > 1], "trained twice"


def test_on_a_node_with_room_for_one_pod_the_run_goes_through(
    stack: Stack, cluster: Cluster, tmp_path: Path
) -> None:
    """Two agents that never fit together. The one that can't begin the run has the place first."""
    stack.draw_data(train=9, held_out=3)
    node = cluster.ready_nodes()[0]["metadata"]["labels"]["kubernetes.io/hostname"]
    agents = {"matchLabels": {"detsweep.io/step": "agent"}}
    apart = {"labelSelector": agents, "topologyKey": "kubernetes.io/hostname"}
    alone = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "affinity": {
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}
        },
    }
    run = Run(stack, tmp_path, overrides(epochs=1), SMALL, alone)
    with run.lines.heard() as lines:
        run.start()
        # Pod 1 gets the place, and leaves it since it can't do anything.
        first = eventually(lambda: run.namespace.pods(LEADER), "pod 0 is made")[0]
        name = first["metadata"]["name"]
        run.namespace.kubectl("delete", "pod", name, "--grace-period=0", "--force")
        lines.wait_for("waiting for pod 0 to create the sweep")
        lines.wait_for("leaving it the place")
        run.wait_for_end()
    summary = stack.summary("s3://detsweep/runs/first")
    assert summary["trials"] == [0, 1, 2, 3]


def test_a_run_without_data_fails_at_once_and_says_so(stack: Stack, tmp_path: Path) -> None:
    run = Run(stack, tmp_path, overrides(epochs=1), SMALL)
    with run.lines.heard() as lines:
        run.start()
        lines.wait_for("error: s3://detsweep/data/receipts: holds no files")
    reason = eventually(
        lambda: run.namespace.conditions("job", "detsweep").get("Failed"), "the run has failed"
    )
    assert reason == "PodFailurePolicy"
    # docs/cluster.md looks there for the reason.
    said = run.namespace.kubectl("logs", f"--selector={LEADER}", "--tail=5")
    assert "holds no files" in said
