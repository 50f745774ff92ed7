"""Nobody's settings: no cluster, no token, no context of kfp's."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _nobodys_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    for name in os.environ:
        if name.startswith(("DETSWEEP_", "AWS_", "KF_PIPELINES_", "SSL_CERT")):
            monkeypatch.delenv(name)
