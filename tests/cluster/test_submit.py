"""What `submit` reads of a cluster, and the command that it prints, on a real one."""

import shlex
import subprocess
from typing import Any

import pytest

from pipelines.submit.naming import logs_command
from pipelines.submit.progress import ClusterLogs
from tests.cluster.cluster import Namespace, eventually

pytestmark = pytest.mark.node
AGENTS = 8


def agent(number: int, image: str) -> dict[str, Any]:
    """A pod that looks like an agent's, says a line and stays for a while."""
    security = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", f"echo trial {number}; exec sleep 300"],
        "securityContext": security,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"agent-{number}", "labels": {"detsweep.io/sweep": "May"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def test_the_lines_of_eight_agents_are_shown(namespace: Namespace, trainer_image: str) -> None:
    namespace.create(*(agent(number, trainer_image) for number in range(AGENTS)))
    eventually(
        lambda: all(pod["status"]["phase"] == "Running" for pod in namespace.pods()), "agents run"
    )
    command = shlex.split(logs_command(namespace.name, "May"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as shown:
        assert shown.stdout is not None
        lines = {shown.stdout.readline().strip() for _ in range(AGENTS)}
        assert shown.poll() is None  # It follows them.
        shown.kill()
    assert lines == {f"[pod/agent-{n}/main] trial {n}" for n in range(AGENTS)}


def test_the_cluster_has_the_lines_of_a_pod_that_runs(
    namespace: Namespace, trainer_image: str
) -> None:
    namespace.create(agent(0, trainer_image))
    logs = ClusterLogs.of_kubeconfig()
    eventually(lambda: logs.read("agent-0", namespace.name) == "trial 0\n", "the pod's line")
    assert logs.read("agent-1", namespace.name) is None
