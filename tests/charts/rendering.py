"""The storage chart as Helm renders it, for the tests of what it holds and of what it starts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "charts" / "detsweep-storage"
NAMESPACE = "sweeps"
KUBERNETES = [f"1.{minor}" for minor in range(28, 35)]

RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""What the restricted Pod Security Standard asks of a container, and a read-only root."""

Manifest = dict[str, Any]


def render(values: Mapping[str, Any] | None = None, release: str = "detsweep") -> list[Manifest]:
    """The chart's manifests, hooks and test pods among them."""
    documents = [
        document
        for path, text in _texts(values, release, NAMESPACE).items()
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
    ]
    return [document for document in documents if document is not None]


def render_notes(
    values: Mapping[str, Any] | None = None,
    release: str = "detsweep",
    namespace: str = NAMESPACE,
) -> str:
    """What Helm prints after an installation."""
    (notes,) = (t for p, t in _texts(values, release, namespace).items() if p.endswith("NOTES.txt"))
    return notes


def commands(notes: str) -> list[str]:
    """The commands among the notes: the lines that are indented."""
    return [line.strip() for line in notes.splitlines() if line.startswith("  ")]


def _texts(values: Mapping[str, Any] | None, release: str, namespace: str) -> dict[str, str]:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    with helm.Chart.load(CHART) as chart:
        texts: dict[str, str] = chart.render(dict(values or {}), name=release, namespace=namespace)
    return texts


def find(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest:
    return next(m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name))


def pod_specs(manifests: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod that the manifests start: its name and its spec."""
    for manifest in manifests:
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            yield name, manifest["spec"]
        elif manifest["kind"] in {"StatefulSet", "Deployment", "Job"}:
            yield name, manifest["spec"]["template"]["spec"]


def containers(spec: Manifest) -> list[Manifest]:
    return [*spec.get("initContainers", []), *spec["containers"]]
