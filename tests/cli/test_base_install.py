"""What works with nothing but the base requirements, and what is said of the rest.

Each command runs in a process that can import only what `pip install detsweep` brings.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from detector.extras import EXTRAS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOR_DEVELOPMENT = {"bench", "dev", "docs"}

PROGRAM = """
import json, sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

MISSING = set(json.loads(sys.argv.pop(1)))
sys.meta_path.insert(0, NotInstalled())
from detector.cli.main import run
run()
"""


def closure(requirements: Iterable[str]) -> set[str]:
    """The names of requirements, with all that they require in turn."""
    found: set[str] = set()
    waiting = [Requirement(requirement) for requirement in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += map(Requirement, metadata.requires(name) or [])
    return found


@cache
def missing_modules() -> str:
    """What is installed here and does not come with the base, as JSON."""
    base = closure(PROJECT["dependencies"]) | {"detsweep"}
    return json.dumps(
        sorted(
            module
            for module, owners in metadata.packages_distributions().items()
            if not base & {canonicalize_name(owner) for owner in owners}
        )
    )


def detsweep(*words: object, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", PROGRAM, missing_modules(), *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    done = detsweep("data", "synth", "pages", "--train=6", "--held-out=2", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "pages"


def test_what_trains_and_sweeps_is_not_there() -> None:
    assert {"torch", "optuna", "kfp", "wandb", "kubernetes", "numba", "scipy", "s3fs"} <= set(
        json.loads(missing_modules())
    )


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "data check pages",
        "data convert pages copy",
        "data folds pages --count=2",
        "config keys",
    ],
)
def test_data_is_drawn_checked_copied_and_split(pages: Path, command: str) -> None:
    done = detsweep(*command.split(), folder=pages.parent)
    assert done.returncode == 0, done.stderr


def test_text_is_found(pages: Path, model: Path) -> None:
    page = next((pages / "val" / "images").iterdir())
    done = detsweep("predict", page, "--model", model, folder=pages.parent)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_a_model_scores_as_with_everything_installed(pages: Path, model: Path) -> None:
    words = ["evaluate", "--data", pages, "--model", model]
    done = detsweep(*words, folder=pages.parent)
    assert done.returncode == 0, done.stderr
    program = "from detector.cli.main import run; run()"
    whole = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    scores = re.compile(r"[01]\.\d{4}")
    assert scores.findall(done.stdout) == scores.findall(whole.stdout)
    assert len(scores.findall(done.stdout)) == 10


def test_mistakes_are_shown(pages: Path, model: Path) -> None:
    done = detsweep("errors", "--data", pages, "--model", model, folder=pages.parent)
    assert done.returncode == 0, done.stderr


def test_a_model_is_exported(pages: Path, model: Path) -> None:
    words = ["export", model, "half.onnx", "--precision", "fp16", "--layout", "rapidocr"]
    done = detsweep(*words, folder=pages.parent)
    assert done.returncode == 0, done.stderr
    assert (pages.parent / "half.onnx").is_file()


@pytest.mark.parametrize(
    ("command", "extras"),
    [
        ("train preset=quickstart data.path=pages", "train"),
        ("run --data pages --sweep sweep.yaml preset=quickstart", "train,sweep"),
        ("sweep init sweep.yaml --data pages preset=quickstart", "sweep"),
        ("sweep status 1", "sweep"),
        ("sweep serve --backend sqlite:///sweeps.db", "sweep"),
        ("plan --data pages --sweep sweep.yaml preset=quickstart", "train"),
        ("promote --data pages --model model.onnx --baseline 0.5", "train"),
        ("export best.ckpt m.onnx", "train"),
        ("export model.onnx m.onnx --precision int8 --data pages", "train"),
        ("data check s3://bucket/pages", "s3"),
        ("evaluate --data pages --model model.onnx --engine openvino", "openvino"),
    ],
)
def test_what_is_missing_is_one_line_that_names_all_that_it_takes(
    pages: Path, model: Path, command: str, extras: str
) -> None:
    folder = pages.parent
    (folder / "model.onnx").write_bytes(model.read_bytes())
    (folder / "sweep.yaml").write_bytes((ROOT / "sweeps" / "quickstart.yaml").read_bytes())
    done = detsweep(*command.split(), folder=folder)
    assert done.returncode == 2
    said = rf"\s*error: .*not installed\n  → pip install 'detsweep\[{extras}\]'.*\n"
    assert re.fullmatch(said, done.stderr), done.stderr


def test_the_table_of_extras_is_the_project_s() -> None:
    """Every requirement of an extra is in the table, under a name that can be imported."""
    extras = PROJECT["optional-dependencies"]
    modules: dict[str, set[str]] = {}
    for module, owners in metadata.packages_distributions().items():
        for owner in owners:
            modules.setdefault(canonicalize_name(owner), set()).add(module)
    for extra in set(extras) - FOR_DEVELOPMENT - {"all", "gpu"}:
        for requirement in map(Requirement, extras[extra]):
            if requirement.name != "detsweep":
                assert modules[canonicalize_name(requirement.name)] & set(EXTRAS[extra]), (
                    requirement
                )
    assert set(EXTRAS) == set(extras) - FOR_DEVELOPMENT - {"all", "gpu"}


def test_all_extras_are_in_all() -> None:
    (everything,) = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert everything.extras == set(EXTRAS)
