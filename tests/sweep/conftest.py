import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.sweep.backends.wandb import LACKS
from detector.sweep.opening import open_backend
from detector.sweep.protocol import Backend, Sweep
from detector.sweepfile.spec import read_sweep
from tests.ports import free_port
from tests.sweep.servers import Postgresql, find_postgresql, grpc_proxy, postgresql
from tests.sweep.wandb_server import WandbServer, wandb_environment

OWN_STORAGES = ["sqlite", "journal", "postgresql", "grpc"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults: kills agents and servers at random moments")
    config.addinivalue_line("markers", "keeps(capability): of backends that do not lack it")
    config.addinivalue_line("markers", "instead(capability): what W&B does, which lacks it")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that take the `url` of a backend with each kind that can do what they ask."""
    if "url" in metafunc.fixturenames:
        asked = {marker.args[0] for marker in metafunc.definition.iter_markers("keeps")}
        kinds = OWN_STORAGES if asked & LACKS.keys() else [*OWN_STORAGES, "wandb"]
        metafunc.parametrize("url", kinds, indirect=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Postgresql]:
    """A PostgreSQL server of the tests' own; skips where PostgreSQL or its driver is missing."""
    pytest.importorskip("psycopg2", reason="detsweep[postgresql] is not installed")
    programs = find_postgresql()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with postgresql(programs) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server: Postgresql) -> str:
    return postgresql_server.create("sweeps")


@pytest.fixture(scope="session")
def grpc_url(postgresql_server: Postgresql) -> Iterator[str]:
    pytest.importorskip("grpc", reason="detsweep[grpc] is not installed")
    with grpc_proxy(postgresql_server.create("proxied"), free_port()) as url:
        yield url


@pytest.fixture(scope="module")
def wandb_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WandbServer]:
    """A server that the client of this process finds in its environment."""
    import wandb

    with wandb_environment(tmp_path_factory.mktemp("wandb")) as server:
        # What another test began with it in this process knows another server.
        wandb.teardown()
        yield server
        # The last run of a test that left its trial would be taken for one of the tests to come.
        wandb.finish()
        wandb.teardown()


@pytest.fixture
def wandb_url(wandb_service: WandbServer) -> str:
    wandb_service.calls.clear()
    return "wandb://team/receipts"


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a backend of each kind; see `pytest_generate_tests`."""
    if request.param in {"postgresql", "grpc", "wandb"}:
        served: str = request.getfixturevalue(f"{request.param}_url")
        return served
    return f"{request.param}:///{tmp_path}/sweeps"


@pytest.fixture
def backend(url: str) -> Backend:
    backend = open_backend(url, lease_seconds=30)
    backend.poll_seconds = min(0.1, backend.poll_seconds)
    return backend


@pytest.fixture
def new_sweep(backend: Backend) -> Callable[..., Any]:
    """Creates a sweep for the metric `score`, to be maximised, of the parameter `x` in 0..1."""

    def create(**keys: object) -> Sweep:
        settings = {
            "method": "random",
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            **keys,
        }
        return backend.create(read_sweep(yaml.safe_dump(settings, sort_keys=False), "test"))

    return create


@pytest.fixture
def start_agent(url: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts an agent process (see toy_agent.py); what still runs is killed after the test."""
    processes = []

    def start(sweep: str, name: str, lease: float = 6, **options: int) -> "subprocess.Popen[str]":
        words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        script = Path(__file__).with_name("toy_agent.py")
        folder = tmp_path / "trials"
        folder.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, script, url, sweep, folder, name, f"--lease={lease}", *words],
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def epochs_of(tmp_path: Path) -> Callable[..., Any]:
    """Which agent finished which epoch of a trial, in order."""

    def read(number: int) -> list[tuple[str, int]]:
        lines = (tmp_path / "trials" / str(number)).read_text(encoding="utf-8").splitlines()
        notes = [line.split() for line in lines]
        return [(name, int(epoch)) for name, epoch, what in notes if what == "finished"]

    return read
