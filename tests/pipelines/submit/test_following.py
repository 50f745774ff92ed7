"""Following runs whose task details, workflows and logs were recorded from a real Kubeflow."""

import json
from pathlib import Path
from typing import Any

import pytest

from detector.steps.run import Run
from detector.steps.training import Origin
from detector.storage.atomic import write_atomically
from pipelines.submit.errors import RunGoneError, ServerLostError, SubmitError
from pipelines.submit.following import Following
from pipelines.submit.server import Kubeflow as Client
from tests.http_server import Answer
from tests.pipelines.kubeflow import (
    NO_SUCH_RUN,
    Kubeflow,
    Look,
    away,
    ended,
    kubeflow,
    recorded,
)

BEGIN: Look = {"run": {"run_id": "r0", "state": "PENDING"}}
AGENT_1 = "detsweep-29lqt-metadata-0-3-retry-system-container-impl-2013733896"
AGENT_OF_FAILED = "detsweep-gg4cn-metadata-0-3-retry-system-container-impl-2889312897"


def follow(server: Kubeflow, **settings: Any) -> None:
    quick = {"poll_s": 0.01, "patience_s": 5.0, "retry_patience_s": 0.2} | settings
    Following(Client(server.url), "r0", **quick).to_its_end()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def tried_again(failed: Look, log: str) -> Look:
    """A look at the run that goes on: Kubeflow gives its new pod the name of the last."""
    look = ended(failed, "RUNNING", "1970-01-01T00:00:00Z")
    for node in look["workflow"]["status"]["nodes"].values():
        if node["phase"] == "Failed":
            node |= {"phase": "Running", "message": ""}
    look["logs"][AGENT_OF_FAILED] = log
    return look


def begun(look: Look, pod: str, text: str) -> Look:
    """The same look when the pod had printed its log up to and with `text`."""
    log = recorded("disrupted")[-1]["logs"][pod]
    look["logs"][pod] = log[: log.index(text) + len(text)] + "\n"
    return look


def test_a_run_is_told_as_its_steps_trials_and_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    first, folds, last = recorded("disrupted")
    first = begun(first, AGENT_1, "trial 0 · epoch 4/6 · val/hmean 0.9005")
    with kubeflow([BEGIN, first, folds, last]) as server:
        follow(server)
    said = lines(capsys)
    assert said[:18] == [
        "prepare: done",
        "sweep-init: done",
        "agent 1: running",
        "agent 1: trial 0, started models.optimizer.lr=0.007929",
        "agent 1: trial 0, epoch 1/6, 0.0000",
        "agent 1: trial 0, epoch 2/6, 0.5880",
        "agent 1: trial 0, epoch 3/6, 0.8545",
        "agent 1: trial 0, epoch 4/6, 0.9005",
        "agent 2: running",
        "agent 2: trial 2, started models.optimizer.lr=0.001479",
        "agent 2: its pod is lost (pod deleted)",
        "agent 2: goes on in another pod",
        "agent 3: running",
        "agent 3: trial 1, started models.optimizer.lr=0.005597",
        "agent 3: its pod is lost (pod deleted)",
        "agent 3: goes on in another pod",
        "agent 1: trial 0, epoch 5/6, 0.9118",
        "agent 1: trial 0, epoch 6/6, 0.9167",
    ]
    assert said[-9:] == [
        "fold 1: epoch 1/6, 0.0000",
        "fold 1: epoch 2/6, 0.5240",
        "fold 1: epoch 3/6, 0.8195",
        "fold 1: epoch 4/6, 0.8750",
        "fold 1: epoch 5/6, 0.8857",
        "fold 1: epoch 6/6, 0.8918",
        "fold 1: done",
        "ensemble: done",
        "run r0: succeeded",
    ]
    assert "agent 1: was killed by SIGKILL; started again from what it had stored" in said
    twice = {line for line in said if said.count(line) > 1}
    assert all("waiting: what is left" in line for line in twice)
    engine = ("executor", "driver", "iteration", "root", "for-loop", "detsweep-")
    assert not [line for line in said if any(word in line for word in engine)]


def test_a_run_that_is_joined_later_is_told_from_there(capsys: pytest.CaptureFixture[str]) -> None:
    first, folds, last = recorded("disrupted")
    first = begun(first, AGENT_1, "trial 0 · epoch 4/6 · val/hmean 0.9005")
    with kubeflow([first, folds, last]) as server:
        follow(server)
    said = lines(capsys)
    assert said[:4] == [
        "prepare: done",
        "sweep-init: done",
        "agent 1: running",
        "agent 1: trial 0, epoch 4/6, 0.9005",
    ]
    assert "agent 1: trial 0, epoch 5/6, 0.9118" in said


def test_a_failed_run_is_tried_again_while_it_gets_on(capsys: pytest.CaptureFixture[str]) -> None:
    running, failed = recorded("failed")
    _, _, succeeded = recorded("disrupted")
    again = tried_again(failed, "trial 0 · resumed after epoch 11\n")
    with kubeflow([BEGIN, running, failed, failed, again, again, succeeded]) as server:
        follow(server)
    assert server.retried == 1
    said = lines(capsys)
    assert (
        "the run failed at agent 1 (main: Error (exit code 143)); it had got on, and is tried again"
        in said
    )
    assert said.count("agent 1: running") == 1
    assert said.count("agent 1: trial 0, resumed after epoch 11") == 1
    assert said[-1] == "run r0: succeeded"


def test_a_run_that_gets_no_further_is_given_up_with_the_last_lines_of_its_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    running, failed = recorded("failed")
    later = ended(failed, "FAILED", "2026-11-26T16:00:00Z")
    looks = [BEGIN, running, failed, ended(running, "RUNNING"), later, later]
    told_of = r"run r0: the run ended as failed at agent 1 \(main: Error \(exit code 143\)\)"
    with kubeflow(looks) as server, pytest.raises(SubmitError, match=told_of) as error:
        follow(server)
    assert server.retried == 1
    assert "same store_url" in str(error.value)
    said = lines(capsys)
    shown = said[said.index("agent 1 ended with these lines:") + 1 :]
    assert shown == [
        "  │ trial 0 · resumed after epoch 10",
        "  │ resumed after epoch 10",
        "  │ trial 0 · epoch 11/12 · val/hmean 0.9533",
    ]


@pytest.mark.parametrize("settings", [{"retries": False}, {}], ids=["not wanted", "joined"])
def test_a_run_that_need_not_be_tried_again_is_not(settings: dict[str, Any]) -> None:
    running, failed = recorded("failed")
    looks = [running, failed] if settings else [failed]
    with kubeflow(looks) as server, pytest.raises(SubmitError, match="ended as failed"):
        follow(server, **settings)
    assert server.retried == 0


def test_a_run_that_a_person_ended_is_not_tried_again() -> None:
    canceling, terminated = recorded("terminated")
    looks = [BEGIN, canceling, terminated]
    with kubeflow(looks) as server, pytest.raises(SubmitError, match="the run was terminated"):
        follow(server)
    assert server.retried == 0


def test_a_run_that_kubeflow_cannot_try_again_ends_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    looks = [BEGIN, *recorded("failed")]
    no: Answer = (400, {"message": "Cannot retry workflow with offloaded node status"})
    said = "ended as failed at agent 1"
    with kubeflow(looks, retry_answers=[no]) as server, pytest.raises(SubmitError, match=said):
        follow(server)
    said = capsys.readouterr().out
    assert "it can't be tried again: Kubeflow Pipelines answers 400: Cannot retry workflow" in said


def test_a_try_of_which_only_the_answer_was_lost_goes_on() -> None:
    running, failed = recorded("failed")
    again = tried_again(failed, "")
    lost: list[Answer] = [
        (503, {"message": "upstream is gone"}),
        (400, {"message": "Workflow must be Failed/Error to retry"}),
    ]
    looks = [BEGIN, running, failed, again, again, recorded("disrupted")[-1]]
    with kubeflow(looks, retry_answers=lost) as server:
        follow(server)
    assert server.retried == 2


def test_a_server_that_is_away_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    first, _, last = recorded("disrupted")
    with kubeflow([BEGIN, first, away(503), away(500), away(429), last]) as server:
        follow(server)
    said = lines(capsys)
    (waited,) = [line for line in said if line.startswith("waiting for Kubeflow Pipelines at ")]
    assert "answers 503: try again" in waited
    assert said[-1] == "run r0: succeeded"


def test_a_server_that_stays_away_is_an_error_after_a_while() -> None:
    with kubeflow([BEGIN, away()]) as server, pytest.raises(ServerLostError, match="answers 503"):
        follow(server, patience_s=0.5)


def test_a_run_that_is_deleted_meanwhile_ends_with_its_reason() -> None:
    first = recorded("disrupted")[0]
    looks = [BEGIN, first, {"answer": NO_SUCH_RUN}]
    said = r"there is no run r0, or not any more: Run r0 not found\n.*same store_url"
    with kubeflow(looks) as server, pytest.raises(RunGoneError, match=said):
        follow(server)


def test_a_pod_that_waits_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    first, _, last = recorded("disrupted")
    waiting = recorded("disrupted")[0]
    reason = "Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    for node in waiting["workflow"]["status"]["nodes"].values():
        if node["id"].endswith("-2013733896"):
            node |= {"phase": "Pending", "message": reason}
    with kubeflow([BEGIN, waiting, waiting, first, last]) as server:
        follow(server)
    assert lines(capsys).count(f"agent 1: waits: {reason}") == 1


def store_with(folder: Path, epochs: int) -> str:
    """A run store with `epochs` epochs of trial 0 and one less of fold 1."""
    (folder / "sweep.json").parent.mkdir(exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps({"id": "s1", "digest": "d"}), encoding="utf-8")
    run = Run(str(folder))
    for training, count in ((run.trial(0), epochs), (run.fold(1), epochs - 1)):
        rows = ({"epoch": n, "val/hmean": n / 10} for n in range(1, count + 1))
        text = "".join(json.dumps(row) + "\n" for row in rows)
        with training.attempt(Origin("config", "data", 0)) as work:
            write_atomically(work.path / "metrics.jsonl", text.encode())
    return str(folder)


@pytest.mark.parametrize("has_old_api", [True, False])
def test_where_no_lines_can_be_had_the_store_tells_of_epochs(
    has_old_api: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _, last = recorded("disrupted")
    first["run"]["runtime_config"]["parameters"]["store_url"] = store_with(tmp_path / "run", 3)
    looks = [BEGIN, *[first] * 6, last]
    with kubeflow(looks, has_logs=False, has_old_api=has_old_api) as server:
        follow(server)
    said = lines(capsys)
    assert [line for line in said if "epoch" in line] == [
        "trial 0: epoch 3, 0.3000",
        "fold 1: epoch 2, 0.2000",
    ]
    assert said[-1] == "run r0: succeeded"
    assert ("agent: running" in said) is not has_old_api


def test_where_neither_can_be_had_the_steps_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    first, _, last = recorded("disrupted")
    with kubeflow([BEGIN, *[first] * 6, last], has_logs=False) as server:
        follow(server)
    said = lines(capsys)
    (why,) = [line for line in said if line.startswith("epochs are not shown")]
    assert "s3://detsweep/runs/r1: nothing says which S3 service that is" in why
    assert "agent 2: its pod is lost (pod deleted)" in said
    assert said[-1] == "run r0: succeeded"


def test_the_pages_server_has_the_lines_of_pods_that_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, _, last = recorded("disrupted")
    first = begun(first, AGENT_1, "trial 0 · epoch 4/6 · val/hmean 0.9005")
    with kubeflow([BEGIN, first, last], has_logs=False, has_pages=True) as server:
        follow(server)
    assert "agent 1: trial 0, epoch 4/6, 0.9005" in lines(capsys)
