"""The compiled pipeline: what Kubeflow is asked for."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from components.this_pod import POD, POD_UID
from detector.sweepfile.spec import parse_sweep
from pipelines.settings import Resources, Settings
from pipelines.sweep import build_pipeline

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "pipelines" / "sweep.yaml"
KFP = Path(sys.executable).with_name("kfp")
GPU_STEPS = {"agent", "select", "fold"}
STEPS = {"prepare", "sweep-init", "ensemble"} | GPU_STEPS


@pytest.fixture(scope="module")
def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    pipeline, platform = yaml.safe_load_all(GOLDEN.read_text(encoding="utf-8"))
    return pipeline, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.fixture(scope="module")
def containers(documents: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return containers_of(documents[0])


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


def documents_of(settings: Settings, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline that is built for some settings, and its executors on Kubernetes."""
    path = str(folder / "built.yaml")
    compiler.Compiler().compile(build_pipeline(settings), path)
    pipeline, platform = yaml.safe_load_all(Path(path).read_text(encoding="utf-8"))
    return pipeline, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def containers_of(pipeline: dict[str, Any]) -> dict[str, dict[str, Any]]:
    executors = pipeline["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): spec["container"] for name, spec in executors.items()}


def gpus_of(pipeline: dict[str, Any]) -> dict[str, str]:
    """How many GPUs which step asks for."""
    return {
        name: spec["resources"]["accelerator"]["resourceCount"]
        for name, spec in containers_of(pipeline).items()
        if "accelerator" in spec["resources"]
    }


def test_the_compiled_pipeline_is_that_of_its_source(tmp_path: Path) -> None:
    command = [str(KFP), "dsl", "compile", "--py", "pipelines/sweep.py"]
    command += ["--output", str(tmp_path / "sweep.yaml")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "sweep.yaml").read_text(encoding="utf-8") == GOLDEN.read_text(
        encoding="utf-8"
    ), "`make pipeline` brings sweep.yaml up to date"


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
    original = parse_sweep(
        (ROOT / "sweeps/hrnet_w44_1280.yaml").read_text(encoding="utf-8"), "original"
    )
    assert sweep.model_copy(update={"source": original.source}) == original
    assert words == ["preset=hrnet_w44_1280"]


def test_every_step_that_trains_asks_for_one_gpu_and_no_other_step_does(
    documents: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    assert gpus_of(documents[0]) == dict.fromkeys(GPU_STEPS, "1")
    for name in GPU_STEPS:
        gpu = containers_of(documents[0])[name]["resources"]["accelerator"]
        assert gpu["resourceType"] == "nvidia.com/gpu"


def test_without_gpus_no_step_asks_for_one(tmp_path: Path) -> None:
    pipeline, _ = documents_of(Settings(gpu=""), tmp_path)
    assert gpus_of(pipeline) == {}


def test_a_fold_that_is_a_train_job_asks_for_no_gpu_itself(tmp_path: Path) -> None:
    pipeline, _ = documents_of(Settings(gpus_per_fold=4), tmp_path)
    assert gpus_of(pipeline) == {"agent": "1", "select": "1"}
    gpus = pipeline["root"]["inputDefinitions"]["parameters"]["gpus_per_fold"]
    assert gpus["defaultValue"] == 4


def test_a_fold_of_a_cluster_without_a_trainer_asks_for_all_its_gpus(tmp_path: Path) -> None:
    pipeline, _ = documents_of(Settings(gpus_per_fold=4, folds_on="pod"), tmp_path)
    assert gpus_of(pipeline) == {"agent": "1", "select": "1", "fold": "4"}
    fold = containers_of(pipeline)["fold"]
    assert fold["resources"]["resourceMemoryRequest"] == "96Gi"
    assert fold["resources"]["resourceCpuRequest"] == "16"
    # There is a process for each GPU, each with threads of its own.
    assert {"name": "OMP_NUM_THREADS", "value": "4"} in fold["env"]


def test_every_step_says_how_much_of_a_processor_and_of_memory_it_needs(
    containers: dict[str, dict[str, Any]],
) -> None:
    """A pod that says nothing is the first to be evicted, and a strict cluster refuses it."""
    for name, spec in containers.items():
        for kind in ("Cpu", "Memory"):
            for bound in ("Request", "Limit"):
                assert spec["resources"][f"resource{kind}{bound}"], name
        threads = {entry["name"]: entry["value"] for entry in spec["env"]}["OMP_NUM_THREADS"]
        assert threads == spec["resources"]["resourceCpuRequest"]


def test_what_a_step_that_trains_needs_can_be_named(tmp_path: Path) -> None:
    small = Resources("500m", "1", "1Gi", "2Gi")
    pipeline, _ = documents_of(Settings(gpu="", training=small), tmp_path)
    agent = containers_of(pipeline)["agent"]
    assert agent["resources"]["resourceCpuRequest"] == "500m"
    assert agent["resources"]["resourceMemoryLimit"] == "2Gi"
    assert {"name": "OMP_NUM_THREADS", "value": "1"} in agent["env"]


def test_a_restricted_namespace_takes_every_pod(pods: dict[str, dict[str, Any]]) -> None:
    for spec in pods.values():
        context = spec["securityContext"]
        assert context["runAsNonRoot"] and int(context["runAsUser"]) == 10001


def secrets_of(pods: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    return {
        name.removeprefix("exec-"): {
            secret["secretName"].removeprefix("detsweep-") for secret in spec["secretAsEnv"]
        }
        for name, spec in pods.items()
    }


@pytest.mark.parametrize(
    ("backend", "tracker", "of_backend", "of_tracker"),
    [
        ("postgresql://detsweep@there/detsweep", "none", {"postgresql"}, set()),
        ("postgresql://detsweep@there/detsweep", "wandb", {"postgresql"}, {"wandb"}),
        ("grpcs://there:13000", "none", {"grpc"}, set()),
        ("wandb://team/receipts", "none", {"wandb"}, set()),
        ("journal:///shared/trials.log", "none", set(), set()),
    ],
)
@pytest.mark.parametrize("gpus", [1, 4])
def test_a_submitted_run_has_no_secret_of_what_it_does_not_use(
    backend: str,
    tracker: str,
    of_backend: set[str],
    of_tracker: set[str],
    gpus: int,
    tmp_path: Path,
) -> None:
    settings = Settings(backend=backend, tracker=tracker, gpus_per_fold=gpus)
    assert secrets_of(documents_of(settings, tmp_path)[1]) == {
        "prepare": {"s3"},
        "sweep-init": {"s3"} | of_backend,
        "agent": {"s3"} | of_backend | of_tracker,
        "select": {"s3"} | of_backend | of_tracker,
        "fold": {"s3"} | of_tracker,
        "ensemble": {"s3"} | of_tracker,
    }


def test_each_step_gets_the_secrets_that_it_may_need_and_no_other(
    pods: dict[str, dict[str, Any]],
) -> None:
    """Of a pipeline that is compiled ahead of its runs."""
    assert secrets_of(pods) == {
        "prepare": {"s3"},
        "sweep-init": {"s3", "postgresql", "grpc", "wandb"},
        "agent": {"s3", "postgresql", "grpc", "wandb"},
        "select": {"s3", "postgresql", "grpc", "wandb"},
        "fold": {"s3", "wandb"},
        "ensemble": {"s3", "wandb"},
    }


def test_kubeflows_own_uploads_do_not_see_the_keys_of_the_run_store(
    pods: dict[str, dict[str, Any]],
) -> None:
    variables = {
        entry["envVar"]
        for spec in pods.values()
        for secret in spec["secretAsEnv"]
        for entry in secret["keyToEnv"]
    }
    assert not {name for name in variables if name.startswith("AWS_")}
    assert {"DETSWEEP_S3_ENDPOINT_URL", "DETSWEEP_S3_REGION"} <= variables


def test_pull_secrets_and_a_queue_reach_every_pod(tmp_path: Path) -> None:
    _, pods = documents_of(Settings(pull_secrets=("registry",), queue="team-a"), tmp_path)
    for spec in pods.values():
        assert [secret["secretName"] for secret in spec["imagePullSecret"]] == ["registry"]
        assert spec["podMetadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"


def test_steps_that_train_have_shared_memory(pods: dict[str, dict[str, Any]]) -> None:
    mounts = {
        name: spec["emptyDirMounts"] for name, spec in pods.items() if "emptyDirMounts" in spec
    }
    assert mounts.keys() == GPU_STEPS | {"ensemble"}
    for (mount,) in mounts.values():
        assert (mount["mountPath"], mount["medium"]) == ("/dev/shm", "Memory")


def test_every_step_is_labelled_and_takes_its_optional_secrets(
    pods: dict[str, dict[str, Any]],
) -> None:
    assert pods.keys() == STEPS
    for name, spec in pods.items():
        assert spec["podMetadata"]["labels"]["detsweep.io/step"] == name
        assert all(secret["optional"] for secret in spec["secretAsEnv"])
        assert spec["fieldPathAsEnv"] == [
            {"name": POD, "fieldPath": "metadata.name"},
            {"name": POD_UID, "fieldPath": "metadata.uid"},
        ]


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
        (affinity,) = spec["nodeAffinity"]
        assert affinity["nodeAffinityJson"]["componentInputParameter"].endswith("node_affinity")


def test_no_step_holds_its_node_for_ever(pods: dict[str, dict[str, Any]]) -> None:
    assert all(int(spec["activeDeadlineSeconds"]) > 0 for spec in pods.values())


def test_a_runs_pods_are_labelled_by_its_name(tmp_path: Path) -> None:
    _, pods = documents_of(Settings(label="receipts"), tmp_path)
    assert {spec["podMetadata"]["labels"]["detsweep.io/sweep"] for spec in pods.values()} == {
        "receipts"
    }


def test_no_step_is_cached_and_each_is_tried_again(tasks: dict[str, dict[str, Any]]) -> None:
    assert tasks.keys() == STEPS
    for task in tasks.values():
        assert not task["cachingOptions"].get("enableCache", False)
        assert task["retryPolicy"]["maxRetryCount"] >= 10


def test_a_pod_that_replaces_another_is_not_ended_before_its_time(
    tasks: dict[str, dict[str, Any]], pods: dict[str, dict[str, Any]]
) -> None:
    """Argo ends whatever runs when the back-off's longest duration, an hour if none is named, has
    passed since the step's first pod began."""
    for name, task in tasks.items():
        longest = int(task["retryPolicy"]["backoffMaxDuration"].removesuffix("s"))
        assert longest > 2 * int(pods[name]["activeDeadlineSeconds"])
        assert task["retryPolicy"]["backoffFactor"] == 1


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
