"""A cluster as the tests see it: kubectl, helm and Kubernetes' own client, by KUBECONFIG."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import kubernetes
import pytest
import yaml

T = TypeVar("T")
Manifest = Mapping[str, Any]
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}


class CommandError(AssertionError):
    """A program refused: its own words are the message."""


@dataclass(frozen=True)
class Cluster:
    """The cluster that KUBECONFIG points at. Commands act as the user that it names.

    Attributes:
        api: a client for the classes of the package `kubernetes`, such as `CoreV1Api(cluster.api)`.
    """

    api: kubernetes.client.ApiClient

    def kubectl(self, *words: str, stdin: str = "", timeout: float = 300) -> str:
        """What kubectl prints.

        Raises:
            CommandError: it failed, with what it printed.
        """
        return run("kubectl", *words, stdin=stdin, timeout=timeout)

    def helm(self, *words: str, timeout: float = 600) -> str:
        """What helm prints; skips the test where helm is not installed."""
        if shutil.which("helm") is None:
            pytest.skip("helm is not installed")
        return run("helm", *words, timeout=timeout)

    def create(self, *manifests: Manifest) -> str:
        """Create objects where they say that they belong."""
        return self.kubectl("create", "--filename=-", stdin=yaml.safe_dump_all(manifests))

    def get(self, *words: str) -> dict[str, Any]:
        """An object, or a list of them, as `kubectl get` finds it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *words, "--output=json"))
        return found

    def serves(self, resource: str) -> bool:
        """Whether the API has a resource, such as `trainjobs.trainer.kubeflow.org`."""
        group = resource.partition(".")[2]
        listed = self.kubectl(
            "api-resources", f"--api-group={group}", "--output=name", "--cached=false"
        )
        return resource in listed.split()

    def ready_nodes(self) -> list[dict[str, Any]]:
        """The nodes that take pods."""
        return [node for node in self.get("nodes")["items"] if _takes_pods(node)]

    def has_image(self, name: str) -> bool:
        """Whether every node that takes pods lists the image. A node lists its 50 largest."""
        return all(
            any(name in image.get("names") or [] for image in node["status"].get("images", []))
            for node in self.ready_nodes()
        )


@dataclass(frozen=True)
class Namespace:
    """A namespace of the test's own."""

    cluster: Cluster
    name: str

    def kubectl(self, *words: str, stdin: str = "", timeout: float = 300) -> str:
        return self.cluster.kubectl(
            f"--namespace={self.name}", *words, stdin=stdin, timeout=timeout
        )

    def helm(self, *words: str, timeout: float = 600) -> str:
        return self.cluster.helm(f"--namespace={self.name}", *words, timeout=timeout)

    def get(self, *words: str) -> dict[str, Any]:
        return self.cluster.get(f"--namespace={self.name}", *words)

    def apply(self, *manifests: Manifest, dry_run: bool = False) -> str:
        """Create or change objects; with `dry_run`, only have the server check them."""
        return self._send("apply", manifests, dry_run)

    def create(self, *manifests: Manifest, dry_run: bool = False) -> str:
        return self._send("create", manifests, dry_run)

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        """The pods, those that are being deleted too."""
        found: list[dict[str, Any]] = self.get("pods", f"--selector={selector}")["items"]
        return found

    def set_status(self, resource: str, name: str, status: Manifest) -> None:
        """Write an object's status, as the controller or kubelet would that does not run here."""
        patch = json.dumps({"status": status})
        words = (
            "patch",
            resource,
            name,
            "--subresource=status",
            "--type=merge",
            f"--patch={patch}",
        )
        self.kubectl(*words)

    def conditions(self, resource: str, name: str) -> dict[str, str]:
        """The conditions of an object that are true, with their reasons."""
        found = self.get(resource, name)["status"].get("conditions", [])
        return {c["type"]: c.get("reason", "") for c in found if c["status"] == "True"}

    def events(self) -> list[str]:
        """What the cluster has said about the namespace's objects, a line each, for messages."""
        items = self.get("events")["items"]
        return [f"{e['involvedObject']['name']}: {e['reason']}: {e['message']}" for e in items]

    def _send(self, verb: str, manifests: Iterable[Manifest], dry_run: bool) -> str:
        text = yaml.safe_dump_all([_without_namespace(m) for m in manifests])
        return self.kubectl(
            verb, "--filename=-", *(["--dry-run=server"] if dry_run else []), stdin=text
        )


def run(*command: str, stdin: str = "", timeout: float = 300) -> str:
    """What a program prints to stdout.

    Raises:
        CommandError: it failed, with what it printed to stderr.
    """
    done = subprocess.run(
        command, input=stdin, capture_output=True, encoding="utf-8", timeout=timeout, check=False
    )
    if done.returncode:
        raise CommandError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def eventually(look: Callable[[], T], what: str, *, patience: float = 120, every: float = 0.5) -> T:
    """The first true value that `look` gives; fails the test when patience (seconds) is at its end.

    A command that is refused counts as not yet true.
    """
    until, last = time.monotonic() + patience, ""
    while True:
        try:
            if found := look():
                return found
        except CommandError as error:
            last = f": {error}"
        if time.monotonic() > until:
            pytest.fail(f"not within {patience:.0f} s: {what}{last}")
        time.sleep(every)


def find_cluster() -> Cluster:
    """The cluster of KUBECONFIG; skips the test where there is none that answers."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    try:
        run("kubectl", "version", "--request-timeout=10s")
    except CommandError as error:
        pytest.skip(f"the cluster of KUBECONFIG does not answer: {error}")
    return Cluster(kubernetes.config.new_client_from_config())


def is_mine() -> bool:
    """Whether the tests may touch what is not in a namespace of theirs, such as nodes."""
    return os.environ.get("DETSWEEP_TEST_CLUSTER_IS_MINE") == "1"


def _takes_pods(node: Manifest) -> bool:
    conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["spec"].get("unschedulable", False)


def _without_namespace(manifest: Manifest) -> dict[str, Any]:
    """An object for the test's own namespace, whichever it was written for."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "namespace"}
    return {**manifest, "metadata": metadata}
