"""What Kubeflow Trainer gets to know of a fold, on a server in its place."""

from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from detector.steps.trainer_status import CA, TOKEN, URL, show_progress
from tests.http_server import Answer, http_server

PATH = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/a/trainjobs/b/status"


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("abc\n", encoding="utf-8")
    monkeypatch.setenv(TOKEN, str(tmp_path / "token"))
    monkeypatch.delenv(CA, raising=False)


@pytest.mark.usefixtures("token")
def test_an_epoch_is_shown_with_its_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[tuple[str, str, dict[str, Any], str | None]] = []

    def answer(method: str, path: str, body: dict[str, Any], headers: Message) -> Answer:
        got.append((method, path, body, headers["Authorization"]))
        return 200, body

    with http_server(answer) as url:
        monkeypatch.setenv(URL, url + PATH)
        show_progress(3, 8, {"val/hmean": 0.9314159, "seconds": 60.4})
    ((method, path, body, authorization),) = got
    assert (method, path, authorization) == ("POST", PATH, "Bearer abc")
    status = body["trainerStatus"]
    assert status["progressPercentage"] == 37
    assert status["estimatedRemainingSeconds"] == 302
    assert {"name": "val/hmean", "value": "0.931416"} in status["metrics"]


@pytest.mark.usefixtures("token")
def test_a_server_that_refuses_or_is_away_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with http_server(lambda *_: (403, {"message": "Forbidden"})) as url:
        monkeypatch.setenv(URL, url + PATH)
        show_progress(1, 2, {"seconds": 1.0})
    show_progress(2, 2, {"seconds": 1.0})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Kubeflow Trainer does not take the progress: HTTP Error 403: Forbidden"
    assert "refused" in said[1]


def test_without_such_a_server_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(URL, raising=False)
    show_progress(1, 2, {"seconds": 1.0})
    assert not capsys.readouterr().out
