"""The storage chart on a cluster, installed by helm's own program."""

import base64
import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.cluster import Namespace, eventually

CHART = Path(__file__).parents[2] / "charts" / "detsweep-storage"
SMALL: dict[str, Any] = {
    "s3": {
        "storage": {"size": "1Gi"},
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
    },
    "postgresql": {
        "storage": {"size": "1Gi"},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
    },
    "dashboard": {"resources": {"requests": {"cpu": "20m"}}},
}
"""What a test needs little of, so that it finds room on a small node."""

HELM_GIVES_UP_AFTER = "120s"


@dataclass(frozen=True)
class Release:
    """A release of the chart, called like its objects."""

    namespace: Namespace
    name: str = "detsweep"

    def install(self, *words: str, **values: Any) -> str:
        """Install it and wait until its pods are ready; what helm prints."""
        return self._deploy("install", {**SMALL, **values}, "--wait", *words)

    def upgrade(self, *words: str, wait: bool = True, **values: Any) -> str:
        """Change some values and keep all others."""
        waiting = ["--wait"] if wait else []
        return self._deploy("upgrade", values, "--reset-then-reuse-values", *waiting, *words)

    def rollback(self, revision: int) -> str:
        return self._helm("rollback", str(revision), "--wait")

    def test(self) -> str:
        return self._helm("test")

    def uninstall(self) -> str:
        return self._helm("uninstall", "--wait")

    def notes(self) -> str:
        return self.namespace.helm("get", "notes", self.name)

    def values(self) -> dict[str, Any]:
        """What was set, on top of the chart's own values."""
        text = self.namespace.helm("get", "values", self.name, "--output=json")
        found: dict[str, Any] = json.loads(text)
        return found

    def pod(self, component: str) -> dict[str, Any]:
        """The one pod of a component; there may be none for a moment."""
        (found,) = self.namespace.pods(
            f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"
        )
        return found

    def uid(self, component: str) -> str:
        return str(self.pod(component)["metadata"]["uid"])

    def secret(self, name: str) -> dict[str, str]:
        data = self.namespace.get("secret", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def _deploy(self, verb: str, values: dict[str, Any], *words: str) -> str:
        settings = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
        return self._helm(verb, str(CHART), *settings, *words)

    def _helm(self, verb: str, *words: str) -> str:
        return self.namespace.helm(verb, self.name, f"--timeout={HELM_GIVES_UP_AFTER}", *words)


@contextmanager
def forwarded(command: list[str]) -> Iterator[str]:
    """The URL that a `kubectl port-forward` opens, while it runs; its port here is a free one."""
    *words, ports = command
    there = ports.rpartition(":")[2]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        here = probe.getsockname()[1]
    with subprocess.Popen([*words, f"{here}:{there}"], stdout=subprocess.DEVNULL) as forwarding:
        try:
            yield f"http://127.0.0.1:{here}"
        finally:
            forwarding.terminate()


def page(url: str, awaited: str) -> str:
    """What a URL answers, once it holds what is awaited; an error's page counts, too."""

    def look() -> str:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            text = error.read().decode()
        except OSError:
            return ""
        return str(text) if re.search(awaited, text) else ""

    return eventually(look, f"{url} shows {awaited}")
