"""Every step, as Kubeflow's launcher runs it: what it writes is what the launcher takes."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from kfp.dsl.executor import Executor
from kubernetes import client

from components.agent import agent
from components.ensemble import ensemble
from components.fold import fold
from components.prepare import prepare
from components.select import select
from components.sweep_init import sweep_init
from components.train_jobs import running
from detector.data.synthetic.drawing import draw_receipts
from detector.sweep.opening import open_backend
from pipelines.settings import Settings
from tests.components.cluster import NAMESPACE, Turn, cluster, ended
from tests.components.launcher import read_output_file
from tests.tiny_run import SWEEP, overrides


@dataclass
class Launcher:
    """Runs a step's function by kfp's own executor, and reads what it wrote by the launcher's
    rules."""

    folder: Path
    runs: int = 0

    def run(self, component: Any, **inputs: object) -> dict[str, Any]:
        """The step's outputs: parameters, and each artifact's properties by name.

        Args:
            inputs: parameters; an artifact is a `Path` to its content.
        """
        self.runs += 1
        folder = self.folder / f"{self.runs}-{component.name}"
        outputs = component.component_spec.outputs or {}
        output_file = folder / "executor_output.json"
        executor_input = {
            "inputs": {
                "parameterValues": {k: v for k, v in inputs.items() if not _is_artifact(v)},
                "artifacts": {k: _as_artifacts(v) for k, v in inputs.items() if _is_artifact(v)},
            },
            "outputs": {
                "outputFile": str(output_file),
                "parameters": {"Output": {"outputFile": str(folder / "Output")}},
                "artifacts": {
                    name: _as_artifacts(folder / name, spec.type)
                    for name, spec in outputs.items()
                    if name != "Output"
                },
            },
        }
        folder.mkdir(parents=True)
        Executor(executor_input=executor_input, function_to_execute=component.python_func).execute()
        read = read_output_file(output_file)
        described = {
            name: dict(listed.artifacts[0].metadata.items())
            for name, listed in read.artifacts.items()
        }
        return {
            **described,
            "uris": {name: listed.artifacts[0].uri for name, listed in read.artifacts.items()},
            "Output": json.loads(output_file.read_text(encoding="utf-8"))
            .get("parameterValues", {})
            .get("Output"),
            "folder": folder,
        }


def _is_artifact(value: object) -> bool:
    return isinstance(value, Path) or (
        isinstance(value, list) and value != [] and all(isinstance(item, Path) for item in value)
    )


def _as_artifacts(value: Any, kind: str = "system.Artifact@0.0.1") -> dict[str, Any]:
    paths = value if isinstance(value, list) else [value]
    title, _, version = kind.partition("@")
    return {
        "artifacts": [
            {
                "name": path.name,
                "type": {"schemaTitle": title, "schemaVersion": version},
                "uri": str(path),
            }
            for path in paths
        ]
    }


@dataclass
class Steps:
    """The steps of one tiny run, in their order, and what each handed over."""

    launcher: Launcher
    store: str
    backend: str
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def begin(self, data: Path, sweep_yaml: str, agents: int) -> None:
        """Run the first two steps."""
        self.outputs["prepared"] = prepared = self.launcher.run(
            prepare,
            store_url=self.store,
            data=str(data),
            overrides=overrides(epochs=1),
            folds=0,
            gpus_per_fold=1,
            nodes_per_fold=1,
            gpus_in_pod=0,
        )
        self.outputs["created"] = self.launcher.run(
            sweep_init,
            store_url=self.store,
            backend_url=self.backend,
            sweep_yaml=sweep_yaml,
            agents=agents,
            manifest=prepared["folder"] / "manifest",
        )

    def select(self, agents: int, trials_per_agent: int) -> dict[str, Any]:
        return self.launcher.run(
            select,
            agents=agents,
            trials_per_agent=trials_per_agent,
            store_url=self.store,
            backend_url=self.backend,
            sweep=self.sweep(),
            ended=[self.sweep()],
        )

    def sweep(self) -> Path:
        found: Path = self.outputs["created"]["folder"] / "sweep"
        return found

    def agent(self, index: int, trials: int = 0) -> dict[str, Any]:
        return self.launcher.run(
            agent,
            index=index,
            trials_per_agent=trials,
            store_url=self.store,
            backend_url=self.backend,
            sweep=self.sweep(),
        )

    def fold(self, index: int, **given: object) -> dict[str, Any]:
        settings = Settings(gpu="", pull_secrets=("registry",), queue="night")
        return self.launcher.run(
            fold,
            index=index,
            store_url=self.store,
            sweep=self.sweep(),
            best=self.outputs["selected"]["folder"] / "best",
            **{
                "gpus": 1,
                "nodes": 1,
                "in_pod": False,
                "gpu_type": settings.gpu,
                "resources": asdict(settings.of_training),
                "shared_memory": settings.of_shared_memory,
                "pull_secrets": list(settings.pull_secrets),
                "queue": settings.queue,
                "image": "registry.example/trainer:1",
                "node_selector": {},
                "tolerations": [],
                "node_affinity": {},
                **given,
            },
        )

    def ensemble(self, baseline: str) -> dict[str, Any]:
        return self.launcher.run(
            ensemble,
            store_url=self.store,
            prefer="balance",
            baseline=baseline,
            sweep=self.sweep(),
            folds=[self.sweep()],
        )


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    folder = tmp_path_factory.mktemp("contract")
    draw_receipts(folder / "data", train=9, held_out=3, seed=1)
    ran = Steps(Launcher(folder / "steps"), str(folder / "run"), f"sqlite:///{folder}/sweep.db")
    ran.begin(folder / "data", SWEEP, agents=2)
    ran.outputs["worked"] = ran.agent(1, trials=1)
    # The second agent is lost: `select` trains what it would have.
    ran.outputs["selected"] = ran.select(agents=2, trials_per_agent=1)
    return ran


@pytest.mark.timeout(300)
def test_the_first_steps_hand_on_numbers(steps: Steps) -> None:
    assert steps.outputs["prepared"]["Output"] == [0, 1]
    assert steps.outputs["prepared"]["pages"] == {
        "display_name": "pages",
        "pages": 9,
        "held-out pages": 3,
    }
    assert steps.outputs["created"]["Output"] == [1, 2]


def test_an_agent_says_how_many_trials_ended_how(steps: Steps) -> None:
    assert steps.outputs["worked"]["trials"] == {"display_name": "agent 1", "finished": 1}


def test_an_agent_that_finds_nothing_to_do_ends_well(steps: Steps) -> None:
    assert steps.agent(2)["trials"] == {"display_name": "agent 2"}


def test_trials_that_a_lost_agent_left_are_trained_before_one_is_chosen(steps: Steps) -> None:
    trials = open_backend(steps.backend).open(steps.sweep().read_text(encoding="utf-8")).trials()
    assert [(trial.state, trial.agent) for trial in trials] == [
        ("finished", "agent-1"),
        ("finished", "select"),
    ]
    assert steps.outputs["selected"]["best"]["models.optimizer.lr"] > 0


def test_a_fold_that_is_a_trials_and_one_that_is_trained_are_both_taken(steps: Steps) -> None:
    reused, trained = steps.fold(0)["scores"], steps.fold(1)["scores"]
    assert reused["reused_trial"] in (0, 1)
    assert "reused_trial" not in trained
    assert {"val/hmean", "val/recall"} <= trained.keys()


def test_a_fold_on_two_nodes_is_a_train_job_of_all_that_the_run_asks_for(
    tmp_path: Path,
    steps: Steps,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(steps.store, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/folds", ignore_errors=True)
    ran = replace(steps, store=str(tmp_path / "run"))
    taint = {"key": "gpu", "operator": "Exists"}
    place = {"node_selector": {"zone": "a"}, "tolerations": [taint]}
    with cluster([Turn(ended("Failed"))]) as server:
        api = client.ApiClient(client.Configuration(host=server.url))
        monkeypatch.setattr(running, "connect", lambda: (api, NAMESPACE))
        with pytest.raises(SystemExit):
            ran.fold(1, gpus=2, nodes=2, **place)
    assert "failed: JobsFailed" in capsys.readouterr().err
    (created,) = server.created
    assert created["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "night"
    spec = created["spec"]
    assert spec["trainer"]["image"] == "registry.example/trainer:1"
    assert (spec["trainer"]["numNodes"], spec["trainer"]["numProcPerNode"]) == (2, 2)
    assert spec["trainer"]["resourcesPerNode"]["limits"] == {"cpu": "4", "memory": "8Gi"}
    (job,) = spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = job["template"]["spec"]["template"]["spec"]
    assert (pod["nodeSelector"], pod["tolerations"]) == ({"zone": "a"}, [taint])
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["volumes"][0]["emptyDir"]["sizeLimit"] == "2Gi"


@pytest.mark.timeout(300)
def test_an_ensemble_is_taken_with_a_baseline_and_without(steps: Steps) -> None:
    alone = steps.ensemble("")
    assert alone["Output"] == ""
    assert "promotion" not in alone["model"]
    assert alone["uris"]["model"].endswith("model.onnx")
    assert Path(alone["uris"]["model"]).is_file()
    judged = steps.ensemble("0.5")
    assert judged["Output"] in {"promoted", "within noise", "worse"}
    assert judged["model"]["promotion"]["baseline_hmean"] == 0.5
    assert "gain over the baseline" in judged["scores"]


def test_agents_whose_every_trial_fails_end_well_and_select_says_why(
    tmp_path: Path, steps: Steps, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = Steps(
        Launcher(tmp_path / "steps"), str(tmp_path / "run"), f"sqlite:///{tmp_path}/sweep.db"
    )
    # Its trials would start from weights that are not there.
    init = "parameters:\n  models.init: {value: nowhere/best.ckpt}"
    failing.begin(Path(steps.store).with_name("data"), SWEEP.replace("parameters:", init), agents=1)
    ended = failing.agent(1)["trials"]
    assert ended["failed"] >= 1
    with pytest.raises(SystemExit):
        failing.select(agents=1, trials_per_agent=0)
    assert "none of 2 trials has a score" in capsys.readouterr().err


@pytest.mark.parametrize("given", [{"gpus_per_fold": 2}, {"nodes_per_fold": 2}])
def test_a_pod_without_the_gpus_that_a_fold_wants_is_refused_at_once(
    given: Mapping[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        Launcher(tmp_path).run(
            prepare,
            store_url=str(tmp_path / "run"),
            data="",
            overrides=[],
            folds=0,
            **{"gpus_per_fold": 1, "nodes_per_fold": 1, "gpus_in_pod": 1, **given},
        )
    assert "a fold's pod has 1 GPUs on one node" in capsys.readouterr().err


def test_no_agents_are_refused_by_the_first_step_that_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        Launcher(tmp_path).run(
            sweep_init,
            store_url=str(tmp_path / "run"),
            backend_url="",
            sweep_yaml=SWEEP,
            agents=0,
            manifest=tmp_path,
        )
    assert "0 agents train nothing" in capsys.readouterr().err
