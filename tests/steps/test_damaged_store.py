"""Files of a run store that are damaged: whoever reads one says which, and what to do, or does
without it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.data.synthetic.drawing import draw_receipts
from detector.errors import DetsweepError
from detector.steps.prepare import Prepared
from detector.steps.run import Run
from detector.steps.sweep_init import begin_run
from detector.sweep.agent import run_agent
from detector.sweep.trial import TrialEnd, TrialHandle
from tests.cli.shell import detsweep
from tests.tiny_run import SWEEP, chosen_outcome, overrides

DOCUMENTS = [
    "config.yaml",
    "folds.json",
    "sweep.json",
    "check.json",
    "sweeps/ID/sweep.json",
    "sweeps/ID/sweep.yaml",
    "sweeps/ID/outcome.json",
    "ensemble/result.json",
    "folds/0/result.json",
]
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "list": lambda _: b"[]",
    "number": lambda _: b"3",
    "null": lambda _: b"null",
    "text": lambda _: b'"text"',
    "object": lambda _: b"{}",
    "nested": lambda _: b"[" * 100_000,
    "binary": lambda _: bytes(range(256)),
    "other": lambda _: b'{"count": "x", "seed": null, "pages": [{"name": 1}], "id": []}',
}


class Begun:
    """A run whose sweep has ended, and whose best trial was named; nothing was trained."""

    def __init__(self, folder: Path):
        self.folder, self.store = folder, folder / "store"
        draw_receipts(folder / "data", train=6, held_out=2, seed=1)
        (folder / "sweep.yaml").write_text(SWEEP, encoding="utf-8")
        self.backend = f"sqlite:///{folder}/sweep.db"
        self.words = overrides(epochs=1)
        run = Run(str(self.store))
        data = str(folder / "data")
        begun = begin_run(run, self.backend, SWEEP, "sweep.yaml", self.words, data)
        self.id, sweep = begun.id, begun.open()

        def train(trial: TrialHandle) -> TrialEnd:
            trial.report(1, {"val/hmean": 0.5})
            return "finished"

        run_agent(sweep, train, agent="a1", on_event=lambda _: None)
        run.write_outcome(chosen_outcome(self.id, {"models.optimizer.lr": 0.001}))

    def commands(self, store: Path) -> list[list[object]]:
        place = ["--store", store, "--backend", self.backend]
        init = ["sweep", "init", self.folder / "sweep.yaml", "--data", self.folder / "data"]
        return [
            ["sweep", "best", self.id, *place],
            ["sweep", "best", self.id, "--overrides", *place],
            ["sweep", "report", self.id, *place],
            ["sweep", "export", self.id, "--epochs", self.folder / "epochs.csv", *place],
            ["sweep", "agent", self.id, *place],
            [*init, *place, "--", *self.words],
        ]

    def steps(self, store: Path) -> list[Callable[[], object]]:
        run = Run(str(store))
        return [
            lambda: Prepared.of(run),
            run.folds,
            lambda: run.begun,
            lambda: run.outcome,
            lambda: run.ensemble.outcome,
            lambda: run.fold(0).result,
            run.trainings,
        ]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Begun:
    return Begun(tmp_path_factory.mktemp("begun"))


@pytest.mark.parametrize("damage", ["empty", "cut", "other"])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_damaged_document_is_named_or_done_without(
    document: str, damage: str, begun: Begun, tmp_path: Path
) -> None:
    for number in range(len(begun.commands(tmp_path))):
        store = tmp_path / str(number)
        file = _damaged(begun, store, document, damage)
        ended = detsweep(*begun.commands(store)[number])
        assert ended.code in (0, 2), ended.output
        if ended.code:
            error = ended.output[ended.output.index("error: ") :]
            assert str(file) in error
            assert "→" in error


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_step_names_the_damaged_document(
    document: str, damage: str, begun: Begun, tmp_path: Path
) -> None:
    file = _damaged(begun, tmp_path / "store", document, damage)
    for step in begun.steps(tmp_path / "store"):
        try:
            step()
        except DetsweepError as error:
            assert error.where
            assert error.remedy
            missing = "this file is missing" in error.problem
            assert missing or str(file) in error.where


def _damaged(begun: Begun, store: Path, document: str, damage: str) -> Path:
    shutil.copytree(begun.store, store)
    file = store / document.replace("ID", begun.id)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(DAMAGES[damage](file.read_bytes() if file.exists() else b'{"rows": []}'))
    return file
