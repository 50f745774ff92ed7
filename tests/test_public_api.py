"""What `import detector` offers."""

import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import detector
from detector.data.synthetic.drawing import draw_receipts
from detector.errors import ConfigError, DataError, DetsweepError, SweepError

ROOT = Path(__file__).parents[1]
SWEEP = ROOT / "sweeps" / "quickstart.yaml"


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = {"torch", "onnxruntime", "numpy", "kfp", "pydantic", "pipelines"}
    program = f"import sys, detector; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_detector_is_opened_without_torch() -> None:
    program = "import sys, detector; detector.Detector; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "False"


def test_a_data_set_is_read_by_the_name_of_its_folder(tmp_path: Path) -> None:
    draw_receipts(tmp_path / "pages", train=2, held_out=1, seed=1)
    pages = detector.DataSet.read(str(tmp_path / "pages")).pages()
    assert [page.held_out for page in pages] == [False, False, True]
    assert all(isinstance(box, detector.TextBox) for page in pages for box in page.boxes)


def test_a_data_set_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        detector.DataSet.read("nowhere")


def test_all_that_is_named_is_there() -> None:
    for name in detector.__all__:
        assert getattr(detector, name).__name__ == name
    assert set(detector.__all__) <= set(dir(detector))
    errors = [getattr(detector, name) for name in detector.__all__ if name.endswith("Error")]
    assert all(issubclass(error, DetsweepError) for error in errors)


def test_every_error_of_the_package_is_offered() -> None:
    defined = {
        name
        for name, value in vars(detector.errors).items()
        if isinstance(value, type) and issubclass(value, DetsweepError)
    }
    assert defined <= set(detector.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'detector' has no attribute 'Detectr'"):
        detector.Detectr  # type: ignore[attr-defined]  # that is what is tested  # noqa: B018


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_type_checker_knows_what_a_detector_gives(tmp_path: Path) -> None:
    user = tmp_path / "user.py"
    user.write_text(
        "from detector import DataSet, Detector, run, train\n"
        "for outline in Detector('model.onnx')('photo.jpg'):\n"
        "    outline.points.astype('float64')\n"
        "    outline.score.hex()\n"
        "    outline.scores\n"
        "for page in DataSet.read('receipts').pages():\n"
        "    page.boxes[0].points.astype('float64')\n"
        "    page.outlines\n"
        "run(data='pages')\n"
        "train()\n",
        encoding="utf-8",
    )
    for package in ("detector", "pipelines"):
        assert resources.files(package).joinpath("py.typed").is_file()
    mypy = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", user.name]
    done = subprocess.run(
        [*mypy, "--config-file=", f"--cache-dir={tmp_path}"],
        cwd=tmp_path,
        env={"MYPYPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": ""},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    errors = [
        line.split(": error: ")[1] for line in done.stdout.splitlines() if ": error: " in line
    ]
    assert len(errors) == 4, done.stdout + done.stderr
    assert errors[0].startswith('"Outline" has no attribute "scores"')
    assert errors[1].startswith('"Page" has no attribute "outlines"')
    assert errors[2].startswith('Missing positional argument "sweep"')
    assert errors[3].startswith('Missing positional arguments "config", "folds", "fold", "run_dir"')


def test_a_run_refuses_a_setting_before_it_writes_anything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"models\.optimizer\.learning_rate"):
        detector.run(
            data=tmp_path,
            sweep=SWEEP,
            store=tmp_path / "run",
            overrides=["models.optimizer.learning_rate=1"],
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "remedy"), [(None, "check the path"), (b"name: caf\xe9\n", "save it as UTF-8")]
)
def test_a_run_names_a_sweep_file_that_cannot_be_read(
    tmp_path: Path, content: bytes | None, remedy: str
) -> None:
    sweep = tmp_path / "sweep.yaml"
    if content is not None:
        sweep.write_bytes(content)
    with pytest.raises(SweepError) as caught:
        detector.run(tmp_path, sweep, store=tmp_path / "run")
    assert (caught.value.where, caught.value.remedy) == (str(sweep), remedy)
    assert not (tmp_path / "run").exists()


@pytest.mark.timeout(120)
def test_a_run_hands_on_what_its_steps_print_and_names_the_one_that_failed(tmp_path: Path) -> None:
    images = tmp_path / "data" / "images"
    images.mkdir(parents=True)
    (images / "a.jpg").write_bytes(b"not an image")
    printed: list[str] = []
    with pytest.raises(DetsweepError, match="prepare"):
        detector.run(tmp_path / "data", SWEEP, store=tmp_path / "run", write=printed.append)
    assert any(line.startswith("prepare │ error:") for line in printed)
