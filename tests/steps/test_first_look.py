"""What a run on this machine refuses before its first step, and that nothing is left of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from detector.data.synthetic.drawing import draw_receipts
from detector.errors import DetsweepError
from detector.steps.first_look import AskedRun
from detector.steps.run import BegunSweep, Run
from detector.training.device import MPS, present_devices
from tests.tiny_run import SWEEP, overrides

WITHOUT_MPS = pytest.mark.skipif(MPS in present_devices(), reason="it is there")
PROGRAM = """\
program: train.py
method: random
run_cap: 4
metric: {name: loss, goal: minimize}
parameters: {lr: {min: 0.1, max: 0.5}}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "data"
    draw_receipts(folder, train=2, held_out=1, seed=1)
    return folder


@pytest.fixture
def asked(data: Path, tmp_path: Path) -> AskedRun:
    store = tmp_path / "runs" / "a"
    return AskedRun(
        data=str(data),
        sweep_yaml=SWEEP,
        file="sweep.yaml",
        overrides=overrides(1),
        store=str(store),
        backend=f"sqlite:///{store}/sweep.db",
        agents=2,
        prefer="balance",
        baseline="",
    )


def test_what_is_right_is_let_through_and_leaves_nothing(asked: AskedRun, tmp_path: Path) -> None:
    for prefer in ("balance", "fold 1", "mean of maps", "consensus of boxes, int8"):
        replace(asked, prefer=prefer, baseline="0.9").refuse_what_cannot_end_well()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("prefer", "balanced", "prefer: there is no candidate 'balanced'; did you mean 'balance'"),
        ("prefer", "fold 2", "no candidate 'fold 2'"),
        ("baseline", "1.2", "1.2 is no H-Mean"),
        ("baseline", "nan", "nan is no H-Mean"),
        ("baseline", "old.onnx", "old.onnx: there is no such baseline"),
        ("overrides", ["models.optimizer.lr=x"], "models.optimizer.lr"),
        ("overrides", [*overrides(1), "data.format=cocco"], "there is no format 'cocco'"),
        ("overrides", [*overrides(1), "data.held_out=dev"], "no dev/ to hold out, only train, val"),
        ("sweep_yaml", SWEEP.replace("val/hmean", "val/hmaen"), "no training logs 'val/hmaen'"),
        (
            "overrides",
            [*overrides(1), "models.encoder.model_name=resnett18"],
            "no model 'resnett18'",
        ),
        (
            "overrides",
            [*overrides(1), "models.init=ppocr_v9"],
            "no published detector of this name",
        ),
        (
            "overrides",
            [*overrides(1), "models.init=ppocr_v4_mobile"],
            "another network than the configuration's\n  → set models.encoder.model_name=",
        ),
        (
            "overrides",
            [*overrides(1), "data.unlabelled=scans", "models.teacher=none.onnx"],
            "none.onnx: it cannot be read as an ONNX file",
        ),
        (
            "sweep_yaml",
            SWEEP + "  models.init: {values: [null, ppocr_v9]}\n",
            "no published detector of this name",
        ),
        (
            "sweep_yaml",
            SWEEP + "  models.encoder.model_name: {values: [resnet18, resnet8]}\n",
            "timm has no model 'resnet8'",
        ),
        pytest.param(
            "overrides",
            [*overrides(1), "trainer.device=mps"],
            "trainer.device: mps is not there",
            marks=WITHOUT_MPS,
        ),
        pytest.param(
            "sweep_yaml",
            SWEEP + "  trainer.device: {values: [cpu, mps]}\n",
            "trainer.device: mps is not there",
            marks=WITHOUT_MPS,
        ),
        ("sweep_yaml", PROGRAM, "its trials are runs of a program"),
        ("data", "nowhere", "nowhere: there is no such folder"),
        ("backend", "mysql://db", "no backend of this kind"),
        ("agents", 9, "9 agents are asked for, and SQLite stands 8 at once"),
    ],
)
def test_what_would_fail_later_is_refused(
    asked: AskedRun, tmp_path: Path, field: str, value: object, said: str
) -> None:
    with pytest.raises(DetsweepError, match=said) as refused:
        replace(asked, **{field: value}).refuse_what_cannot_end_well()  # type: ignore[arg-type]
    assert refused.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_images_is_no_data_set(asked: AskedRun, tmp_path: Path) -> None:
    with pytest.raises(DetsweepError, match="holds no images, and no folder of them"):
        replace(asked, data=str(tmp_path)).refuse_what_cannot_end_well()


def test_a_baseline_that_is_no_model_is_refused(asked: AskedRun, tmp_path: Path) -> None:
    file = tmp_path / "old.onnx"
    file.write_bytes(b"a page of HTML that was downloaded in its place")
    with pytest.raises(DetsweepError, match="cannot be read as an ONNX file"):
        replace(asked, baseline=str(file)).refuse_what_cannot_end_well()


def test_a_store_or_a_database_below_a_file_is_refused(asked: AskedRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    below = str(tmp_path / "file" / "run")
    with pytest.raises(DetsweepError, match="is a file, and no folder"):
        replace(asked, store=below).refuse_what_cannot_end_well()
    with pytest.raises(DetsweepError, match="is a file, and no folder"):
        replace(asked, backend=f"sqlite:///{below}").refuse_what_cannot_end_well()


def test_a_file_that_is_no_database_is_refused(asked: AskedRun, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text(
        "not a database, but long enough to be looked at as one", encoding="utf-8"
    )
    with pytest.raises(DetsweepError, match="cannot open the backend"):
        replace(asked, backend=f"sqlite:///{tmp_path}/notes.db").refuse_what_cannot_end_well()


def test_a_store_of_another_sweep_is_refused(asked: AskedRun) -> None:
    Run(asked.store).begin_sweep(BegunSweep("abc", "another"), "method: grid")
    with pytest.raises(DetsweepError, match="this store holds sweep abc"):
        asked.refuse_what_cannot_end_well()
