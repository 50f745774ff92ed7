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
