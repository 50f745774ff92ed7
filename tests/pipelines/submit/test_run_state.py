"""The pipeline's steps among the engine's nodes, of real runs."""

import base64
import gzip
import json
from typing import Any

from pipelines.submit.run_state import RunState
from tests.pipelines.kubeflow import recorded


def state_of(look: dict[str, Any]) -> RunState:
    return RunState.of(look["run"], look["workflow"])


def test_a_run_is_its_steps_and_not_the_engines_nodes() -> None:
    run = state_of(recorded("disrupted")[-1])
    assert [(step.name, step.state) for step in run.steps] == [
        ("prepare", "SUCCEEDED"),
        ("sweep-init", "SUCCEEDED"),
        ("agent 1", "SUCCEEDED"),
        ("agent 2", "SUCCEEDED"),
        ("agent 3", "SUCCEEDED"),
        ("select", "SUCCEEDED"),
        ("fold 0", "SUCCEEDED"),
        ("fold 1", "SUCCEEDED"),
        ("ensemble", "SUCCEEDED"),
    ]
    assert run.has_succeeded
    assert not run.failed_steps
    assert run.namespace == "kubeflow"
    assert run.parameters["store_url"] == "s3://detsweep/runs/r1"


def test_a_step_has_the_pods_that_worked_on_it_with_the_last_one_last() -> None:
    agents = {step.name: step for step in state_of(recorded("disrupted")[0]).steps}
    assert [(pod.state, pod.reason) for pod in agents["agent 1"].pods] == [("RUNNING", "")]
    lost, now = agents["agent 2"].pods
    assert (lost.is_lost, lost.reason, now.state) == (True, "pod deleted", "RUNNING")
    prefix = "detsweep-29lqt-metadata-0-3-retry-system-container-impl-"
    assert (lost.name, now.name) == (f"{prefix}2856773860", f"{prefix}3326400097")
    assert agents["agent 2"].state == "RUNNING"


def test_a_failed_run_names_its_step_and_why() -> None:
    run = state_of(recorded("failed")[-1])
    (failed,) = run.failed_steps
    assert failed.name == "agent 1"
    assert failed.pods[-1].reason == "main: Error (exit code 143)"
    assert not run.was_terminated


def test_a_run_that_a_person_ended_is_told_from_one_that_failed() -> None:
    run = state_of(recorded("terminated")[-1])
    assert run.state == "FAILED"
    assert run.was_terminated


def test_a_step_that_never_began_is_known_by_its_driver() -> None:
    look = recorded("failed")[-1]
    nodes = look["workflow"]["status"]["nodes"]
    kept = {key: node for key, node in nodes.items() if ".executor" not in node["name"]}
    for node in kept.values():
        if "agent-driver" in node["name"]:
            node |= {"phase": "Error", "message": "the parameter is missing"}
    look["workflow"]["status"]["nodes"] = kept
    (failed,) = state_of(look).failed_steps
    assert failed.name == "agent-driver 0"
    assert failed.pods[-1].reason == "the parameter is missing"


def test_the_nodes_of_a_large_workflow_are_unpacked() -> None:
    look = recorded("disrupted")[-1]
    status = look["workflow"]["status"]
    packed = base64.b64encode(gzip.compress(json.dumps(status.pop("nodes")).encode()))
    steps = state_of(recorded("disrupted")[-1]).steps
    look["workflow"]["status"] = {**status, "compressedNodes": packed.decode()}
    assert state_of(look).steps == steps


def test_without_the_workflow_a_step_is_known_by_its_name() -> None:
    disrupted = recorded("disrupted")
    steps = RunState.of(disrupted[0]["run"], {}).steps
    assert {step.name: step.state for step in steps} == {
        "prepare": "SUCCEEDED",
        "sweep-init": "SUCCEEDED",
        "agent": "RUNNING",
    }
    ended = RunState.of(disrupted[-1]["run"], {}).steps
    assert {step.name for step in ended if step.is_done} == {
        "prepare",
        "sweep-init",
        "agent",
        "select",
        "fold",
        "ensemble",
    }


def test_a_run_that_has_not_begun_has_no_steps() -> None:
    assert RunState.of({"run_id": "r0"}, {"metadata": {"name": "w"}, "status": {}}).steps == ()
