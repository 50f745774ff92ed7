"""The manifests below k8s/ as kustomize builds them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.parent.name for path in ROOT.glob("k8s/overlays/*/kustomization.yaml"))
OF_JOBS = [name for name in OVERLAYS if name != "dev"]


def build(overlay: str, root: Path = ROOT) -> list[dict[str, Any]]:
    return build_folder(root / "k8s" / "overlays" / overlay)


def build_folder(folder: Path) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    command = ["kubectl", "kustomize", str(folder)]
    built = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    return list(yaml.safe_load_all(built.stdout))
