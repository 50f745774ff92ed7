"""What a run needs around it in a namespace of a test: storage, a data set, ears for its pods."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.cluster import CommandError, Namespace, eventually
from tests.k8s.kustomize import ROOT, build_folder

_SMALL = ("--set=s3.storage.size=1Gi", "--set=postgresql.storage.size=1Gi")
_LITTLE_CPU = tuple(
    f"--set={server}.resources.requests.cpu=50m" for server in ("s3", "postgresql", "dashboard")
)
_BENCH = "bench"
_PATIENCE_S = 300
DATA = "s3://detsweep/data/receipts"
BACKEND = "postgresql://detsweep@detsweep-postgresql:5432/detsweep"

_DRAW = """
import sys
from pathlib import Path
import s3fs
from detector.data.synthetic.drawing import draw_receipts
draw_receipts(Path("/tmp/receipts"), train=int(sys.argv[2]), held_out=int(sys.argv[3]), seed=1)
s3fs.S3FileSystem().put("/tmp/receipts", sys.argv[1], recursive=True)
"""
_SUMMARY = """
import json, sys
from detector.steps.run import Run
run = Run(sys.argv[1])
trials = [trial.number for trial in run.outcome.trials]
folds = [row.name for row in run.ensemble.outcome.folds]
print(json.dumps({"sweep": run.sweep, "trials": trials, "folds": folds}))
"""
_TRIALS = """
import json, sys
from detector.sweep.opening import open_backend
trials = open_backend(sys.argv[1]).open(sys.argv[2]).trials()
print(json.dumps([{"number": t.number, "state": t.state, "reason": t.reason} for t in trials]))
"""


@dataclass(frozen=True)
class Stack:
    """detsweep's storage in a namespace, and a pod of the trainer's image beside it."""

    namespace: Namespace
    image: str

    @classmethod
    def install(cls, namespace: Namespace, image: str) -> "Stack":
        """Install the chart and k8s/base, and wait until they answer."""
        namespace.apply(*build_folder(ROOT / "k8s/base"))
        chart = str(ROOT / "charts/detsweep-storage")
        namespace.helm("install", "detsweep", chart, "--wait", *_SMALL, *_LITTLE_CPU)
        stack = cls(namespace, image)
        namespace.apply(stack._bench())
        namespace.kubectl("wait", f"pod/{_BENCH}", "--for=condition=Ready", "--timeout=180s")
        return stack

    def remove(self) -> None:
        """End the storage's pods; the namespace goes by itself."""
        with suppress(CommandError):
            self.namespace.helm("uninstall", "detsweep", "--no-hooks")

    def python(self, code: str, *arguments: str) -> str:
        """What a few lines of Python print, beside the storage and with its credentials."""
        words = ("exec", _BENCH, "--", "python3", "-c", code, *arguments)
        return self.namespace.kubectl(*words, timeout=600)

    def draw_data(self, train: int, held_out: int) -> None:
        """Put drawn receipts where the manifests look for the data set."""
        self.python(_DRAW, DATA.removeprefix("s3://"), str(train), str(held_out))

    def summary(self, store: str) -> dict[str, Any]:
        """What a run that has come to its end came to."""
        found: dict[str, Any] = json.loads(self.python(_SUMMARY, store))
        return found

    def trials(self, sweep: str) -> list[dict[str, Any]]:
        """The trials of a sweep: number, state and reason."""
        found: list[dict[str, Any]] = json.loads(self.python(_TRIALS, BACKEND, sweep))
        return found

    def _bench(self) -> dict[str, Any]:
        password = {"name": "detsweep-postgresql", "key": "password"}
        security = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        container = {
            "name": "bench",
            "image": self.image,
            "command": ["sleep", "infinity"],
            "envFrom": [{"secretRef": {"name": "detsweep-s3"}}],
            "env": [{"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": password}}],
            "resources": {
                "requests": {"cpu": "10m", "memory": "64Mi"},
                "limits": {"cpu": "1", "memory": "2Gi"},
            },
            "securityContext": security,
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        }
        spec = {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        }
        metadata = {"name": _BENCH}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@dataclass
class Lines:
    """The lines of all pods of a selector, those that are gone by now too.

    Attributes:
        said: pod and line, in the order in which they came.
    """

    namespace: Namespace
    selector: str
    said: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def heard(self) -> Iterator["Lines"]:
        """Listen while the block runs."""
        ends = threading.Event()
        listening = threading.Thread(target=self._listen, args=(ends,), daemon=True)
        listening.start()
        try:
            yield self
        finally:
            ends.set()
            listening.join()
            # Shown where the test fails.
            print(*(f"{pod} {line}" for pod, line in self.said), *self.namespace.events(), sep="\n")

    def wait_for(self, text: str, since: int = 0) -> int:
        """Until a line holds the text, of those after the first `since`.

        Returns:
            How many lines there were then.
        """

        def look() -> int:
            found = (
                number
                for number, (_, line) in enumerate(list(self.said), start=1)
                if number > since and text in line
            )
            return next(found, 0)

        return eventually(look, f"a line with {text!r}", patience=_PATIENCE_S)

    @contextmanager
    def hearing(self, *texts: str) -> Iterator[None]:
        """What happens inside of the block has these texts said afterwards, one after the other."""
        since = len(self.said)
        yield
        for text in texts:
            since = self.wait_for(text, since)

    def _listen(self, ends: threading.Event) -> None:
        followed: dict[str, subprocess.Popen[str]] = {}
        while not ends.is_set():
            with suppress(CommandError):
                for pod in self.namespace.pods(self.selector):
                    name = pod["metadata"]["name"]
                    if name not in followed and _has_started(pod):
                        followed[name] = self._follow(name)
            time.sleep(0.5)
        for process in followed.values():
            process.kill()
            process.wait()

    def _follow(self, pod: str) -> subprocess.Popen[str]:
        words = ("kubectl", f"--namespace={self.namespace.name}", "logs", "--follow", pod)
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
        )
        threading.Thread(target=self._read, args=(pod, process), daemon=True).start()
        return process

    def _read(self, pod: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.said.append((pod, line.rstrip()))


def _has_started(pod: Mapping[str, Any]) -> bool:
    states = [status["state"] for status in pod["status"].get("containerStatuses", [])]
    return any("waiting" not in state for state in states)


def evict(namespace: Namespace, pod: str) -> None:
    """What `kubectl drain` does to a pod."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{namespace.name}/pods/{pod}/eviction"
    namespace.cluster.kubectl("create", "--raw", path, "--filename=-", stdin=json.dumps(body))


def use_up_memory(namespace: Namespace, pod: str, megabytes: int) -> None:
    """Take memory of a container in small pieces, so that the kernel finds another process to be
    the largest of it."""
    hold = "import time; x = bytearray(256 << 20); time.sleep(30)"
    count = megabytes // 256
    script = f"for i in $(seq {count}); do python3 -c '{hold}' & done; wait"
    with suppress(CommandError):  # The container may end meanwhile.
        namespace.kubectl("exec", pod, "--", "sh", "-c", script)
