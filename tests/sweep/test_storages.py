"""What one kind of storage alone has to keep: its limits, and how it fails."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detector.errors import StorageLostError, SweepError
from detector.sweep.backends.optuna import OptunaSweep
from detector.sweep.opening import (
    SweepAddress,
    open_backend,
    open_sweep,
    require_backend,
    serve_proxy,
)
from detector.sweep.protocol import Idle, Sweep
from detector.sweepfile.spec import read_sweep
from tests.ports import free_port
from tests.sweep.servers import PASSWORD, URL_PASSWORD, Postgresql
from tests.sweep.taking import take

SWEEP = """
method: random
metric: {name: score, goal: maximize}
parameters: {x: {min: 0.0, max: 1.0}}
"""


def agents_at(url: str, count: int, lease_seconds: float = 1.0) -> list[Sweep]:
    """The same sweep as each of several agents has opened it."""
    created = open_backend(url, lease_seconds).create(read_sweep(SWEEP, "test"))
    return [open_backend(url, lease_seconds).open(created.id) for _ in range(count)]


def test_sqlite_refuses_a_ninth_agent_and_says_what_to_use(tmp_path: Path) -> None:
    *eight, ninth = agents_at(f"sqlite:///{tmp_path}/sweeps.db", 9)
    held = [take(agent, f"a{n}") for n, agent in enumerate(eight)]
    with pytest.raises(SweepError, match=r"(?s)8 agents work on this sweep.*journal:///FILE"):
        while ninth.claim("ninth") is Idle.UNSURE:
            time.sleep(ninth.poll_seconds)
    held[0].release()
    assert take(ninth, "ninth").number == 0


def test_of_nine_agents_that_come_at_once_sqlite_lets_the_first_eight_stay(tmp_path: Path) -> None:
    agents = agents_at(f"sqlite:///{tmp_path}/sweeps.db", 9, lease_seconds=60)
    late = []
    for agent in agents:
        assert isinstance(agent, OptunaSweep)
        trial = agent._begin([], "an agent")
        assert trial is not None
        late.append(agent._came_too_late(trial))
    assert late == [False] * 8 + [True]


KINDS = ("sqlite", "journal")
ON_LINUX = pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("place", "said"),
    [
        pytest.param("/proc/x.db", "nothing may be written in /proc", marks=ON_LINUX),
        pytest.param("/proc/runs/x.db", "nothing may be written in /proc", marks=ON_LINUX),
        pytest.param("/proc/version", "nothing may be written in /proc", marks=ON_LINUX),
        ("{folder}", "is a folder, and no file"),
        ("{folder}/notes/x.db", "is a file, and no folder"),
    ],
)
def test_a_place_for_no_database_is_refused_at_once(
    kind: str, place: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes").write_text("", encoding="utf-8")
    url = f"{kind}:///{place.format(folder=tmp_path)}"
    # So patient that the test would not end.
    for open_it in (open_backend, require_backend, lambda url: open_backend(url, None, 600)):
        with pytest.raises(SweepError, match=said) as caught:
            open_it(url)
        assert not isinstance(caught.value, StorageLostError)
        assert caught.value.remedy == "name another file"
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_may_not_be_written_is_refused(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "sweeps.db"
    open_backend(f"{kind}:///{file}")
    file.chmod(0o444)
    if os.access(file, os.W_OK):
        pytest.skip("this user may write all files")
    with pytest.raises(SweepError, match=r"sweeps\.db may not be written"):
        open_backend(f"{kind}:///{file}", None, 600)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_is_not_looked_for_in_a_file_that_is_not_there(kind: str, tmp_path: Path) -> None:
    for file in (tmp_path / "none.db", tmp_path / "runs" / "none.db"):
        url = f"{kind}:///{file}"
        with pytest.raises(SweepError, match=f"there is no file {re.escape(str(file))}"):
            open_sweep(url, "abc")
        with pytest.raises(SweepError, match=f"there is no file {re.escape(str(file))}"):
            SweepAddress(url, "abc").open()
    assert list(tmp_path.iterdir()) == []


def test_no_password_is_shown_where_a_database_refuses_it(postgresql_server: Postgresql) -> None:
    url = postgresql_server.url("postgres").replace(URL_PASSWORD, "wr0ng%2Fword")
    with pytest.raises(SweepError, match="password authentication failed") as caught:
        open_backend(url)
    assert not isinstance(caught.value, StorageLostError)  # waiting would not help
    assert "wr0ng" not in str(caught.value)
    assert "detsweep:***@127.0.0.1" in str(caught.value)


def test_no_password_is_shown_where_a_database_goes_away(
    postgresql_server: Postgresql, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = open_backend(postgresql_server.create("goes_away"), patience_seconds=0.5)
    postgresql_server.stop()
    try:
        with pytest.raises(StorageLostError, match="does not answer") as caught:
            backend.create(read_sweep(SWEEP, "test"))
    finally:
        postgresql_server.start()
    for text in (str(caught.value), capsys.readouterr().out):
        assert "Connection refused" in text or "shutting down" in text or "terminat" in text
        assert PASSWORD not in text
        assert URL_PASSWORD not in text


def test_an_agent_waits_for_a_database_that_starts(postgresql_server: Postgresql) -> None:
    url = postgresql_server.create("starts")
    postgresql_server.stop()
    opens = (
        "import sys; from detector.sweep.opening import open_backend\n"
        "open_backend(sys.argv[1], patience_seconds=60)"
    )
    agent = subprocess.Popen(
        [sys.executable, "-c", opens, url], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert agent.stdout is not None
    first = agent.stdout.readline()
    postgresql_server.start()
    assert first.startswith("waiting for the sweep's storage, up to 60 s: ")
    assert agent.wait(60) == 0


def test_a_proxy_that_is_not_there_is_an_error_with_a_remedy() -> None:
    pytest.importorskip("grpc", reason="detsweep[grpc] is not installed")
    backend = open_backend(f"grpc://127.0.0.1:{free_port()}", patience_seconds=0.5)
    with pytest.raises(StorageLostError, match="UNAVAILABLE"):
        backend.open("nowhere")


@pytest.mark.parametrize("address", ["grpc://localhost", "grpc://:13000", "grpc://host:port"])
def test_a_proxy_needs_a_host_and_a_port(address: str) -> None:
    pytest.importorskip("grpc", reason="detsweep[grpc] is not installed")
    with pytest.raises(SweepError, match="not complete"):
        open_backend(address)


def test_the_proxy_serves_databases_only(tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="detsweep[grpc] is not installed")
    with pytest.raises(SweepError, match="serves databases only"):
        serve_proxy(f"journal:///{tmp_path}/sweeps", "127.0.0.1", free_port(), lambda _: None)
