"""The overlays as kustomize builds them, and the Jobs' own commands on this machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detector.console import PREEMPTED_EXIT_CODE
from detector.data.synthetic.drawing import draw_receipts
from detector.steps.run import Run
from tests.charts.rendering import KUBERNETES, RESTRICTED_CONTAINER, containers, find, pod_specs
from tests.k8s.kustomize import OF_JOBS, OVERLAYS, ROOT, build, build_folder
from tests.tiny_run import SWEEP, overrides

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
every_overlay_of_jobs = pytest.mark.parametrize("overlay", OF_JOBS)


def gpus(manifest: dict[str, Any]) -> str | None:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    count: str | None = limits.get("nvidia.com/gpu")
    return count


# successPolicy is from 1.31, as is what the server takes of podFailurePolicy.
@every_overlay
@pytest.mark.parametrize("version", KUBERNETES[KUBERNETES.index("1.31") :])
def test_every_manifest_is_one_of_kubernetes(overlay: str, version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="it is not installed")
    for manifest in build(overlay):
        schemas.validate(manifest, version, strict=True)


@pytest.mark.parametrize("folder", ["k8s/namespace", "k8s/base", "k8s/data-volume"])
def test_what_is_applied_once_is_of_kubernetes_too(folder: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="it is not installed")
    for manifest in build_folder(ROOT / folder):
        schemas.validate(manifest, KUBERNETES[-1], strict=True)


@every_overlay
def test_deleting_an_overlay_deletes_nothing_that_was_there_before_or_is_kept(overlay: str) -> None:
    """No namespace, whose end is the end of all in it; no volume; nothing of an administrator's."""
    kinds = {manifest["kind"] for manifest in build(overlay)}
    assert kinds <= {"ConfigMap", "Job", "Deployment"}


def test_the_namespace_lies_apart_from_everything_else() -> None:
    (namespace,) = build_folder(ROOT / "k8s/namespace")
    assert namespace["kind"] == "Namespace"
    assert not any(m["kind"] == "Namespace" for m in build_folder(ROOT / "k8s/base"))


@every_overlay
def test_every_pod_meets_the_restricted_standard_that_its_namespace_asks_for(
    overlay: str,
) -> None:
    manifests = build(overlay)
    (namespace,) = build_folder(ROOT / "k8s/namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, spec in pod_specs(manifests):
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(spec):
            assert container["securityContext"] == RESTRICTED_CONTAINER, name


def test_nobody_gets_more_than_a_namespaces_runs() -> None:
    manifests = build_folder(ROOT / "k8s/base")
    assert not any(m["kind"].startswith("ClusterRole") for m in manifests)
    for rule in find(manifests, "Role", "detsweep-runs")["rules"]:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert "secrets" not in rule["resources"]


@every_overlay
def test_every_pod_says_what_processor_and_memory_it_takes(overlay: str) -> None:
    for name, spec in pod_specs(build(overlay)):
        for container in containers(spec):
            resources = container["resources"]
            assert resources["requests"].keys() >= {"cpu", "memory"}, name
            assert resources["limits"].keys() >= {"cpu", "memory"}, name


@every_overlay_of_jobs
def test_an_agent_starts_no_more_threads_than_it_has_cores(overlay: str) -> None:
    (container,) = find(build(overlay), "Job", "detsweep")["spec"]["template"]["spec"]["containers"]
    (threads,) = (v for v in container["env"] if v["name"] == "OMP_NUM_THREADS")
    assert threads["valueFrom"] == {"resourceFieldRef": {"resource": "requests.cpu"}}


@every_overlay
def test_no_image_is_one_of_a_registry_that_does_not_have_it(overlay: str) -> None:
    from detector import __version__

    for name, spec in pod_specs(build(overlay)):
        for container in containers(spec):
            assert container["image"] == f"localhost/detsweep/trainer:{__version__}", name


def test_the_pods_of_a_train_job_meet_the_restricted_standard_too() -> None:
    manifests = build_folder(ROOT / "k8s/trainer")
    runtime = find(manifests, "TrainingRuntime", "detsweep-fold")["spec"]["template"]["spec"]
    (job,) = runtime["replicatedJobs"]
    spec = job["template"]["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert [c["securityContext"] for c in spec["containers"]] == [RESTRICTED_CONTAINER]


@every_overlay_of_jobs
def test_each_agent_has_a_gpu_unless_there_are_none(overlay: str) -> None:
    expected = None if overlay == "kind-cpu" else "1"
    assert gpus(find(build(overlay), "Job", "detsweep")) == expected


@every_overlay_of_jobs
def test_logs_of_a_sweep_are_found_by_its_label(overlay: str) -> None:
    for manifest in build(overlay):
        if manifest["kind"] == "Job":
            labels = manifest["spec"]["template"]["metadata"]["labels"]
            assert labels["detsweep.io/sweep"] == "first"


@every_overlay_of_jobs
def test_a_run_is_one_job_that_is_done_when_its_leader_is(overlay: str) -> None:
    (job,) = (m["spec"] for m in build(overlay) if m["kind"] == "Job")
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"]
    assert job["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}


def test_the_job_acts_on_the_exit_codes_that_its_pods_end_with() -> None:
    from detector.console import ERROR_EXIT_CODE, PREEMPTED_EXIT_CODE
    from detector.steps.job import RUN_FAILED, TRY_AGAIN

    rules = find(build("jobs"), "Job", "detsweep")["spec"]["podFailurePolicy"]["rules"]
    disruption = {"type": "DisruptionTarget", "status": "True"}
    assert rules[0] == {"action": "Ignore", "onPodConditions": [disruption]}
    of_codes = {rule["action"]: set(rule["onExitCodes"]["values"]) for rule in rules[1:]}
    assert of_codes == {
        "Ignore": {TRY_AGAIN, PREEMPTED_EXIT_CODE},
        "FailJob": {RUN_FAILED},
        "FailIndex": {ERROR_EXIT_CODE},
    }


def test_kueue_may_admit_fewer_agents_by_the_queue_that_one_setting_names(tmp_path: Path) -> None:
    queued = find(build("gpu-cluster"), "Job", "detsweep")["metadata"]
    assert queued["labels"]["kueue.x-k8s.io/queue-name"] == "detsweep"
    assert queued["annotations"]["kueue.x-k8s.io/job-min-parallelism"] == "1"
    assert "annotations" not in find(build("jobs"), "Job", "detsweep")["metadata"]

    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    component = tmp_path / "k8s/components/kueue/kustomization.yaml"
    text = component.read_text(encoding="utf-8").replace(
        "DETSWEEP_QUEUE=detsweep", "DETSWEEP_QUEUE=team-text"
    )
    component.write_text(text, encoding="utf-8")
    other = find(build("gpu-cluster", tmp_path), "Job", "detsweep")["metadata"]
    assert other["labels"]["kueue.x-k8s.io/queue-name"] == "team-text"


def test_a_local_queue_is_the_same_in_both_versions_of_kueue() -> None:
    ((new,), (old,)) = (build_folder(ROOT / "k8s/kueue" / v) for v in ("v1beta2", "v1beta1"))
    assert new.pop("apiVersion") == "kueue.x-k8s.io/v1beta2"
    assert old.pop("apiVersion") == "kueue.x-k8s.io/v1beta1"
    assert new == old


def test_a_data_set_on_a_volume_reaches_every_job(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    overlay = tmp_path / "k8s/overlays/with-data"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        "resources: [../../jobs]\ncomponents: [../../components/data-volume]\n", encoding="utf-8"
    )
    manifests = build("with-data", tmp_path)
    claim = find(build_folder(ROOT / "k8s/data-volume"), "PersistentVolumeClaim", "detsweep-data")
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
    assert (ROOT / copy).read_text(encoding="utf-8") == (ROOT / original).read_text(
        encoding="utf-8"
    )


class Pods:
    """The Job's command on this machine, with what its pods are given."""

    def __init__(self, folder: Path):
        manifests = build("kind-cpu")
        spec = find(manifests, "Job", "detsweep")["spec"]["template"]["spec"]
        self.command: list[str] = spec["containers"][0]["command"]
        self.mounted = folder / "etc"
        self.mounted.mkdir()
        for name in find(manifests, "ConfigMap", "detsweep-run")["data"]:
            (self.mounted / name).write_text(SWEEP, encoding="utf-8")
        self.environ = {
            **os.environ,
            **find(manifests, "ConfigMap", "detsweep-settings")["data"],
            "DETSWEEP_DATA": str(folder / "data"),
            "DETSWEEP_STORE": str(folder / "run"),
            "DETSWEEP_BACKEND": f"sqlite:///{folder}/sweep.db",
            "DETSWEEP_OVERRIDES": " ".join(overrides(epochs=1)),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        }

    def start(self, index: int, stdout: int | None = None) -> subprocess.Popen[str]:
        here = [word.replace("/etc/detsweep", str(self.mounted)) for word in self.command]
        environ = {**self.environ, "JOB_COMPLETION_INDEX": str(index)}
        return subprocess.Popen(
            here, env=environ, stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8"
        )


@pytest.mark.timeout(300)
def test_the_jobs_command_trains_a_model(tmp_path: Path) -> None:
    draw_receipts(tmp_path / "data", train=9, held_out=3, seed=1)
    pods = Pods(tmp_path)
    # The pods are created at once, and nothing says which is first.
    assert [pod.wait() for pod in [pods.start(1), pods.start(0)]] == [0, 0]
    run = Run(pods.environ["DETSWEEP_STORE"])
    assert [trial.number for trial in run.outcome.trials] == [0, 1]
    assert [row.name for row in run.ensemble.outcome.folds] == ["fold 0", "fold 1"]
    # Started again, as after a lost answer, it finds that all is done.
    model = Path(run.ensemble.model_url).stat().st_mtime_ns
    assert pods.start(0).wait() == 0
    assert Path(run.ensemble.model_url).stat().st_mtime_ns == model


@pytest.mark.timeout(120)
def test_faulty_data_fail_the_run_at_once_and_say_why(tmp_path: Path) -> None:
    from detector.steps.job import RUN_FAILED

    (tmp_path / "data").mkdir()
    pod = Pods(tmp_path).start(0)
    _, said = pod.communicate()
    assert pod.returncode == RUN_FAILED
    assert said.startswith("error: ")
    assert str(tmp_path / "data") in said


@pytest.mark.timeout(120)
def test_a_pod_that_waits_for_the_sweep_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    pod = Pods(tmp_path).start(1, stdout=subprocess.PIPE)
    assert pod.stdout is not None
    assert "waiting for pod 0" in pod.stdout.readline()
    pod.terminate()
    assert pod.wait() == PREEMPTED_EXIT_CODE
