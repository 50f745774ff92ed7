"""An overlay outside of the repository, as an operator has one: another namespace, other pods."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.kustomize import ROOT


def write_overlay(
    folder: Path,
    namespace: str,
    overlay: str,
    pod: Mapping[str, Any] | None = None,
    *patches: Mapping[str, Any],
    image: str = "",
    settings: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Path:
    """Write a kustomization over one of k8s/overlays.

    Args:
        pod: what is added to the pods' spec.
        patches: JSON patches of the workload, Job or Deployment.
        image: in place of localhost/detsweep/trainer.
        labels: of the objects, not of the pods.
        settings: other values of the ConfigMap detsweep-settings.

    Returns:
        The folder, for `kubectl apply --kustomize`.
    """
    base = os.path.relpath(ROOT / "k8s/overlays" / overlay, folder.resolve())
    added = [
        {"op": "add", "path": f"/spec/template/spec/{key}", "value": value}
        for key, value in (pod or {}).items()
    ]
    content: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [base],
        "patches": [
            {"target": {"kind": "Job|Deployment"}, "patch": json.dumps([*added, *patches])}
        ],
    }
    if image:
        name, _, tag = image.rpartition(":")
        content["images"] = [{"name": "localhost/detsweep/trainer", "newName": name, "newTag": tag}]
    if labels:
        content["labels"] = [{"pairs": dict(labels)}]
    if settings:
        literals = [f"{key}={value}" for key, value in settings.items()]
        merged = {"name": "detsweep-settings", "namespace": "detsweep", "behavior": "merge"}
        content["configMapGenerator"] = [{**merged, "literals": literals}]
        content["generatorOptions"] = {"disableNameSuffixHash": True}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder
