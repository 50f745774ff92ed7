"""The whole pipeline in containers, on a real object store and a real database; one agent dies."""

import json
import re
import tempfile
from collections.abc import Iterator

import pytest
import s3fs

from detector.data.synthetic.drawing import draw_receipts
from detector.steps.run import Run as RunStore
from pipelines.local import Machine, StepError, StepRunner, run_pipeline
from tests.containers.podman import USER, Podman, find_image
from tests.sweep.servers import PASSWORD, find_postgresql, postgresql
from tests.sweep.servers import USER as DATABASE_USER
from tests.tiny_run import SWEEP, overrides

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

EPOCHS = 8


class Run:
    """A run in a bucket, which can be gone on with."""

    def __init__(self, bucket: str, backend: str, podman: Podman):
        self.bucket, self.backend, self.podman = bucket, backend, podman
        self.store = f"{bucket}/run"
        self.lines: list[str] = []
        self.killed: int | None = None
        """The trial that agent 1 was killed in."""

    def go_on(self) -> None:
        arguments = {
            "data": f"{self.bucket}/data",
            "sweep_yaml": SWEEP,
            "store_url": self.store,
            "backend_url": self.backend,
            "overrides": overrides(EPOCHS),
            "agents": 2,
        }
        at_once = {"agent": 2, "fold": 2}
        runner = StepRunner(Machine(cores=2, gpus=0), at_once, self._hear, self.podman.start)
        run_pipeline(arguments, runner, width=2)

    def epochs(self, agent: int, trial: int) -> list[int]:
        """The epochs of a trial that an agent has reported, in their order."""
        reported = re.compile(rf"agent {agent} │ trial {trial} · epoch (\d+)/")
        return [int(match[1]) for line in self.lines if (match := reported.match(line))]

    def _hear(self, line: str) -> None:
        self.lines.append(line)
        reported = re.match(r"agent 1 │ trial (\d+) · epoch 2/", line)
        if reported and self.killed is None:
            self.killed = int(reported[1])
            self.podman.kill("agent", 1)


@pytest.fixture(scope="module")
def run(s3_bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run whose first agent was killed, gone on with to its end."""
    programs = find_postgresql()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    shared = tmp_path_factory.mktemp("shared")
    podman = Podman(find_image("trainer"), shared, {"DETSWEEP_LEASE_SECONDS": "6"})
    draw_receipts(shared / "data", train=9, held_out=3, seed=1)
    s3fs.S3FileSystem().put(str(shared / "data"), f"{s3_bucket}/data", recursive=True)
    with postgresql(programs) as server, pytest.MonkeyPatch.context() as patch:
        server.create("containers")
        patch.setenv("PGPASSWORD", PASSWORD)
        # The steps' artifacts pass through kfp.local's folder, which containers have to see.
        patch.setattr(tempfile, "tempdir", str(shared))
        backend = f"postgresql://{DATABASE_USER}@127.0.0.1:{server.port}/containers"
        run = Run(s3_bucket, backend, podman)
        with pytest.raises(StepError, match="agent 1"):
            run.go_on()
        run.go_on()
        yield run


@pytest.fixture(scope="module")
def stored(run: Run) -> RunStore:
    return RunStore(run.store)


def test_a_killed_agents_trial_goes_on_elsewhere_from_its_last_epoch(run: Run) -> None:
    assert run.killed is not None
    taken_over = run.epochs(2, run.killed)
    assert taken_over[0] > 1
    assert taken_over == list(range(taken_over[0], EPOCHS + 1))
    assert run.epochs(1, run.killed)[-1] <= taken_over[0]


def test_both_agents_work_on_one_sweep(run: Run, stored: RunStore) -> None:
    assert [(trial.number, trial.state) for trial in stored.outcome.trials] == [
        (0, "finished"),
        (1, "finished"),
    ]
    assert {agent for agent in (1, 2) for trial in (0, 1) if run.epochs(agent, trial)} == {1, 2}


def test_the_bucket_holds_model_card_and_report(run: Run, stored: RunStore) -> None:
    bucket = s3fs.S3FileSystem()
    for url in (stored.ensemble.model_url, stored.ensemble.report_url, stored.ensemble.overlay_url):
        assert url.startswith(run.store)
        assert bucket.size(url) > 0, url
    assert stored.ensemble.card.name


def test_no_secret_is_printed(run: Run) -> None:
    assert not any(PASSWORD in line for line in run.lines)


def test_the_image_finds_text_with_the_model(run: Run, stored: RunStore) -> None:
    shared = run.podman.shared
    s3fs.S3FileSystem().get(stored.ensemble.model_url, str(shared / "model.onnx"))
    page = next((shared / "data" / "val" / "images").iterdir())
    found = shared / "found.json"
    run.podman.run(
        *("detsweep", "predict", str(page), "--model", str(shared / "model.onnx")),
        *("--json", str(found)),
    )
    assert json.loads(found.read_text(encoding="utf-8"))


def test_the_image_runs_as_nobody_in_particular(run: Run) -> None:
    assert run.podman.run("id", "-u").strip() == USER.split(":")[0]
