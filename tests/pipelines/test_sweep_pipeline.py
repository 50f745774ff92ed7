"""The compiled pipeline: what Kubeflow is asked for."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.this_pod import POD
from detector.sweep.spec import parse_sweep

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "pipelines" / "sweep.yaml"
KFP = Path(sys.executable).with_name("kfp")
GPU_STEPS = {"agent", "select", "fold"}
STEPS = {"prepare", "sweep-init", "ensemble"} | GPU_STEPS


@pytest.fixture(scope="module")
def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    pipeline, platform = yaml.safe_load_all(GOLDEN.read_text())
    return pipeline, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.fixture(scope="module")
def containers(documents: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    executors = documents[0]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): spec["container"] for name, spec in executors.items()}


@pytest.fixture(scope="module")
def pods(documents: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name.removeprefix("exec-"): spec for name, spec in documents[1].items()}


@pytest.fixture(scope="module")
def tasks(documents: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every task that runs a step, in a loop or not."""
    pipeline = documents[0]
    dags = [pipeline["root"]["dag"]]
    dags += [spec["dag"] for spec in pipeline["components"].values() if "dag" in spec]
    return {name: task for dag in dags for name, task in dag["tasks"].items() if name in STEPS}


def compiled(path: Path) -> list[Any]:
    """What kfp's own command makes of the source, in this environment."""
    command = [KFP, "dsl", "compile", "--py", "pipelines/sweep.py", "--output", path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return list(yaml.safe_load_all(path.read_text()))


def test_the_compiled_pipeline_is_that_of_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DETSWEEP_IMAGE", "DETSWEEP_SWEEP", "DETSWEEP_GPU", "DETSWEEP_GPUS_PER_FOLD"):
        monkeypatch.delenv(name, raising=False)
    compiled(tmp_path / "sweep.yaml")
    assert (tmp_path / "sweep.yaml").read_text() == GOLDEN.read_text(), (
        "`make pipeline` brings sweep.yaml up to date"
    )


def test_the_image_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_IMAGE", "registry.example/detsweep:7")
    pipeline, _ = compiled(tmp_path / "sweep.yaml")
    image = pipeline["root"]["inputDefinitions"]["parameters"]["image"]
    assert image["defaultValue"] == "registry.example/detsweep:7"


def parameter(placeholder: str) -> str:
    """The pipeline's parameter that Kubeflow puts in a placeholder's place."""
    return placeholder.removeprefix("{{$.inputs.parameters['pipelinechannel--").removesuffix("']}}")


def test_every_step_runs_in_the_image_that_a_run_names(
    containers: dict[str, dict[str, Any]],
) -> None:
    assert {parameter(spec["image"]) for spec in containers.values()} == {"image"}


def test_a_run_needs_no_parameter(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
    assert [name for name, spec in parameters.items() if "defaultValue" not in spec] == []
    words = parameters["overrides"]["defaultValue"]
    sweep = parse_sweep(parameters["sweep_yaml"]["defaultValue"], "default")
    original = parse_sweep((ROOT / "sweeps/hrnet_w44_1280.yaml").read_text(), "original")
    assert sweep.model_copy(update={"source": original.source}) == original
    assert words == ["preset=hrnet_w44_1280"]


def test_every_step_that_trains_asks_for_one_gpu_and_no_other_step_does(
    containers: dict[str, dict[str, Any]],
) -> None:
    gpus = {
        name: spec["resources"]["accelerator"]
        for name, spec in containers.items()
        if "resources" in spec
    }
    assert gpus.keys() == GPU_STEPS
    for gpu in gpus.values():
        assert (gpu["resourceType"], gpu["resourceCount"]) == ("nvidia.com/gpu", "1")


def test_without_gpus_no_step_asks_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETSWEEP_GPU", "")
    pipeline, _ = compiled(tmp_path / "sweep.yaml")
    executors = pipeline["deploymentSpec"]["executors"].values()
    assert not any("resources" in executor["container"] for executor in executors)


def test_a_fold_that_is_a_train_job_asks_for_no_gpu_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_GPUS_PER_FOLD", "4")
    pipeline, _ = compiled(tmp_path / "sweep.yaml")
    executors = pipeline["deploymentSpec"]["executors"]
    asking = {name for name, spec in executors.items() if "resources" in spec["container"]}
    assert asking == {"exec-agent", "exec-select"}
    gpus = pipeline["root"]["inputDefinitions"]["parameters"]["gpus_per_fold"]
    assert gpus["defaultValue"] == 4


def test_steps_that_train_have_shared_memory(pods: dict[str, dict[str, Any]]) -> None:
    mounts = {
        name: spec["emptyDirMounts"] for name, spec in pods.items() if "emptyDirMounts" in spec
    }
    assert mounts.keys() == GPU_STEPS
    for (mount,) in mounts.values():
        assert (mount["mountPath"], mount["medium"]) == ("/dev/shm", "Memory")


def test_every_step_is_labelled_and_takes_its_optional_secrets(
    pods: dict[str, dict[str, Any]],
) -> None:
    assert pods.keys() == STEPS
    for name, spec in pods.items():
        assert spec["podMetadata"]["labels"]["detsweep.io/step"] == name
        assert all(secret["optional"] for secret in spec["secretAsEnv"])
        assert spec["fieldPathAsEnv"] == [{"name": POD, "fieldPath": "metadata.name"}]


def test_steps_that_train_go_to_the_nodes_that_a_run_names(
    pods: dict[str, dict[str, Any]],
) -> None:
    placed = {name: spec for name, spec in pods.items() if "nodeSelector" in spec}
    assert placed.keys() == GPU_STEPS
    for spec in placed.values():
        selector = spec["nodeSelector"]["nodeSelectorJson"]["componentInputParameter"]
        (toleration,) = spec["tolerations"]
        assert selector.endswith("node_selector")
        assert toleration["tolerationJson"]["componentInputParameter"].endswith("tolerations")


def test_no_step_holds_its_node_for_ever(pods: dict[str, dict[str, Any]]) -> None:
    assert all(int(spec["activeDeadlineSeconds"]) > 0 for spec in pods.values())


def test_a_sweep_is_labelled_by_its_name_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_SWEEP", "receipts")
    _, platform = compiled(tmp_path / "sweep.yaml")
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    labels = [spec["podMetadata"]["labels"]["detsweep.io/sweep"] for spec in executors.values()]
    assert set(labels) == {"receipts"}


def test_no_step_is_cached_and_each_is_tried_again(tasks: dict[str, dict[str, Any]]) -> None:
    assert tasks.keys() == STEPS
    for task in tasks.values():
        assert not task["cachingOptions"].get("enableCache", False)
        assert task["retryPolicy"]["maxRetryCount"] >= 1


def test_no_parameter_of_an_earlier_step_reaches_a_loop(
    documents: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    """kfp.local gives a step the loop's item in its place, without a word."""
    for task in documents[0]["root"]["dag"]["tasks"].values():
        if "parameterIterator" not in task:
            continue
        looped = task["parameterIterator"]["items"]["inputParameter"]
        from_steps = {
            name
            for name, source in task["inputs"]["parameters"].items()
            if "taskOutputParameter" in source
        }
        assert from_steps <= {looped}
