"""The overlays as kustomize builds them, and the Jobs' own commands on this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.data.synthetic import draw_receipts
from detector.steps.ensemble import read_summary
from tests.charts.rendering import KUBERNETES, RESTRICTED_CONTAINER, containers, find, pod_specs
from tests.tiny_run import SWEEP, overrides

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.parent.name for path in ROOT.glob("k8s/overlays/*/kustomization.yaml"))
OF_JOBS = [name for name in OVERLAYS if name != "dev"]
OF_KUEUE = "kueue.x-k8s.io"

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
every_overlay_of_jobs = pytest.mark.parametrize("overlay", OF_JOBS)


def build(overlay: str, root: Path = ROOT) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    command = ["kubectl", "kustomize", root / "k8s" / "overlays" / overlay]
    built = subprocess.run(command, check=True, capture_output=True, text=True)
    return list(yaml.safe_load_all(built.stdout))


def gpus(manifest: dict[str, Any]) -> str | None:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    return limits.get("nvidia.com/gpu")


# The published schema of 1.28 asks for both conditions of a rule of podFailurePolicy, of which the
# server takes one.
@every_overlay
@pytest.mark.parametrize("version", KUBERNETES[1:])
def test_every_manifest_is_one_of_kubernetes(overlay: str, version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="it is not installed")
    for manifest in build(overlay):
        if not manifest["apiVersion"].startswith(OF_KUEUE):
            schemas.validate(manifest, version, strict=True)


@every_overlay
def test_every_pod_meets_the_restricted_standard_that_its_namespace_asks_for(
    overlay: str,
) -> None:
    manifests = build(overlay)
    labels = find(manifests, "Namespace", "detsweep")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, spec in pod_specs(manifests):
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(spec):
            assert container["securityContext"] == RESTRICTED_CONTAINER, name


@every_overlay
def test_nobody_gets_more_than_a_namespaces_runs(overlay: str) -> None:
    manifests = build(overlay)
    assert not any(m["kind"].startswith("ClusterRole") for m in manifests)
    for rule in find(manifests, "Role", "detsweep-runs")["rules"]:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert "secrets" not in rule["resources"]


def test_the_pods_of_a_train_job_meet_the_restricted_standard_too() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    command = ["kubectl", "kustomize", ROOT / "k8s" / "trainer"]
    built = subprocess.run(command, check=True, capture_output=True, text=True)
    manifests = list(yaml.safe_load_all(built.stdout))
    runtime = find(manifests, "TrainingRuntime", "detsweep-fold")["spec"]["template"]["spec"]
    (job,) = runtime["replicatedJobs"]
    spec = job["template"]["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert [c["securityContext"] for c in spec["containers"]] == [RESTRICTED_CONTAINER]


@every_overlay_of_jobs
def test_each_agent_has_a_gpu_unless_there_are_none(overlay: str) -> None:
    manifests = build(overlay)
    expected = None if overlay == "kind-cpu" else "1"
    assert gpus(find(manifests, "Job", "detsweep-agents")) == expected
    assert gpus(find(manifests, "Job", "detsweep-finish")) == expected
    assert gpus(find(manifests, "Job", "detsweep-init")) is None


@every_overlay_of_jobs
def test_logs_of_a_sweep_are_found_by_its_label(overlay: str) -> None:
    for manifest in build(overlay):
        if manifest["kind"] == "Job":
            labels = manifest["spec"]["template"]["metadata"]["labels"]
            assert labels["detsweep.io/sweep"] == "first"


@every_overlay_of_jobs
def test_all_agents_of_a_sweep_start_and_the_last_job_waits(overlay: str) -> None:
    manifests = build(overlay)
    agents = find(manifests, "Job", "detsweep-agents")["spec"]
    assert agents["completionMode"] == "Indexed"
    assert agents["completions"] == agents["parallelism"]
    assert find(manifests, "Job", "detsweep-finish")["spec"]["suspend"] is True


def test_a_data_set_on_a_volume_reaches_every_job(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    overlay = tmp_path / "k8s/overlays/with-data"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        "resources: [../../base, ../../jobs]\ncomponents: [../../components/data-volume]\n"
    )
    manifests = build("with-data", tmp_path)
    claim = find(manifests, "PersistentVolumeClaim", "detsweep-data")
    assert claim["metadata"]["namespace"] == "detsweep"
    settings = find(manifests, "ConfigMap", "detsweep-settings")["data"]
    for name, spec in pod_specs(manifests):
        (volume,) = (v for v in spec["volumes"] if v["name"] == "data")
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"], name
        (mount,) = (m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "data")
        assert settings["DETSWEEP_DATA"].startswith(f"{mount['mountPath']}/"), name
        assert mount["readOnly"], name


@pytest.mark.parametrize(
    ("copy", "original"),
    [
        ("k8s/jobs/sweep.yaml", "sweeps/hrnet_w44_1280.yaml"),
        ("k8s/components/cpu/sweep.yaml", "sweeps/quickstart.yaml"),
        ("pipelines/default_sweep.yaml", "sweeps/hrnet_w44_1280.yaml"),
    ],
)
def test_sweep_files_are_those_of_the_repository(copy: str, original: str) -> None:
    """kustomize reads no file from outside of its folder, and the wheel has none of `sweeps/`."""
    assert (ROOT / copy).read_text() == (ROOT / original).read_text()


@pytest.mark.timeout(300)
def test_the_jobs_commands_train_a_model(tmp_path: Path) -> None:
    manifests = build("kind-cpu")
    draw_receipts(tmp_path / "data", train=9, held_out=3, seed=1)
    mounted = tmp_path / "etc"
    mounted.mkdir()
    for name, text in find(manifests, "ConfigMap", "detsweep-run")["data"].items():
        (mounted / name).write_text(text)
    (mounted / "sweep.yaml").write_text(SWEEP)
    environ = {
        **os.environ,
        **find(manifests, "ConfigMap", "detsweep-settings")["data"],
        "DETSWEEP_DATA": str(tmp_path / "data"),
        "DETSWEEP_STORE": str(tmp_path / "run"),
        "DETSWEEP_BACKEND": f"sqlite:///{tmp_path}/sweep.db",
        "DETSWEEP_OVERRIDES": " ".join(overrides(epochs=1)),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def start(job: str, **more: str) -> subprocess.Popen[bytes]:
        spec = find(manifests, "Job", f"detsweep-{job}")["spec"]["template"]["spec"]
        command: Sequence[str] = spec["containers"][0]["command"]
        here = [word.replace("/etc/detsweep", str(mounted)) for word in command]
        return subprocess.Popen(here, env={**environ, **more})

    # The Jobs are created at once, and nothing says whose pod is first.
    pods = [start("agents", JOB_COMPLETION_INDEX=str(index)) for index in range(2)]
    pods.append(start("init"))
    assert [pod.wait() for pod in pods] == [0, 0, 0]
    assert start("finish").wait() == 0
    summary = read_summary(environ["DETSWEEP_STORE"])
    assert [trial.number for trial in summary.trials] == [0, 1]
    assert [row.name for row in summary.folds] == ["fold 0", "fold 1"]
