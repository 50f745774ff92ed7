"""The proxy answers those alone who show its token."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.errors import SweepError
from detector.sweep.backends.storages import open_storage
from detector.sweep.opening import open_backend, serve_proxy
from detector.sweepfile.spec import read_sweep
from tests.ports import free_port
from tests.sweep.servers import grpc_proxy

SPEC = read_sweep(
    "method: random\nmetric: {name: score, goal: maximize}\nparameters: {x: {min: 0, max: 1}}\n",
    "sweep.yaml",
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("grpc", reason="detsweep[grpc] is not installed")
    database = f"sqlite:///{tmp_path_factory.mktemp('proxy')}/sweeps.db"
    open_storage(database)
    with grpc_proxy(database, free_port(), token="right") as url:
        yield url


def test_who_shows_the_token_is_answered(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETSWEEP_GRPC_TOKEN", "right")
    sweep = open_backend(guarded, 60, 10).create(SPEC)
    assert open_backend(guarded, 60, 10).open(sweep.id).trials() == []


@pytest.mark.parametrize(("token", "said"), [("wrong", "another token"), ("", "asks for a token")])
def test_others_are_refused_at_once(
    guarded: str, token: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_GRPC_TOKEN", token)
    with pytest.raises(SweepError, match=said) as refused:
        open_backend(guarded, 60, 600).create(SPEC)
    assert "DETSWEEP_GRPC_TOKEN" in str(refused.value)
    assert "right" not in str(refused.value)


def test_without_a_token_no_other_machine_is_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("grpc", reason="detsweep[grpc] is not installed")
    monkeypatch.delenv("DETSWEEP_GRPC_TOKEN", raising=False)
    with pytest.raises(SweepError, match="set DETSWEEP_GRPC_TOKEN"):
        serve_proxy(f"sqlite:///{tmp_path}/sweeps.db", "0.0.0.0", free_port(), lambda _: None)


@pytest.mark.parametrize(
    ("host", "environment", "warns"),
    [
        ("proxy.example", {}, True),
        ("10.0.0.7", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True),
        ("proxy", {}, True),
        ("proxy", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
        ("proxy.team.svc", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
        ("127.0.0.1", {}, False),
        ("proxy.example", {"DETSWEEP_GRPC_UNENCRYPTED": "1"}, False),
        ("proxy.example", {"DETSWEEP_GRPC_TOKEN": ""}, False),
    ],
)
def test_who_shows_a_token_to_all_on_the_way_is_warned_once(
    host: str,
    environment: dict[str, str],
    warns: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("grpc", reason="detsweep[grpc] is not installed")
    from detector.sweep.backends.grpc_proxy import _warn_of_listeners, open_proxy

    _warn_of_listeners.cache_clear()
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for name, value in {"DETSWEEP_GRPC_TOKEN": "t0ken", **environment}.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        open_proxy(f"grpc://{host}:13000")  # which connects at the first question
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("unencrypted") == int(warns)
    assert "t0ken" not in said.err
    assert not warns or f"grpcs://{host}:13000" in said.err
