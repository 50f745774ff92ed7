"""What an image installs, of what pyproject.toml asks for."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "images" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


requirements = load("requirements").requirements
pinned = load("requirements").pinned

PROJECT = """\
[project]
name = "detsweep"
dependencies = ["torch>=2.10", "wandb>=0.24", "kfp>=2,<3"]
[project.optional-dependencies]
postgresql = ["psycopg2-binary>=2.9"]
cluster = ["kubernetes", "detsweep[postgresql,cluster]"]
dev = ["pytest"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "pyproject.toml"
    path.write_text(PROJECT, encoding="utf-8")
    return path


def test_extras_are_added_and_names_are_left_out(project: Path) -> None:
    assert requirements(project, ["postgresql"], ["kfp", "torch"]) == [
        "wandb>=0.24",
        "psycopg2-binary>=2.9",
    ]


def test_an_extra_brings_the_extras_that_it_asks_for(project: Path) -> None:
    assert requirements(project, ["cluster"], ["kfp", "torch", "wandb"]) == [
        "kubernetes",
        "psycopg2-binary>=2.9",
    ]


def test_a_name_that_is_not_required_is_an_error(project: Path) -> None:
    """Otherwise a renamed requirement would come back into the image unseen."""
    with pytest.raises(ValueError, match="tensorflow"):
        requirements(project, [], ["tensorflow"])


def test_an_unknown_extra_is_an_error(project: Path) -> None:
    with pytest.raises(ValueError, match="mysql"):
        requirements(project, ["mysql"], [])


def test_versions_are_those_of_the_locks_for_each_python(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text(
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:00\n"
        "numpy==2.5.5 ; python_full_version >= '3.12' \\\n    --hash=sha256:01\n"
        "numpy-financial==1.0 \\\n    --hash=sha256:02\n",
        encoding="utf-8",
    )
    (tmp_path / "b.lock").write_text("Torch==2.14.1 --hash=sha256:03\n", encoding="utf-8")
    assert pinned(["numpy>=2.2", "torch"], [tmp_path / "a.lock", tmp_path / "b.lock"]) == [
        "numpy==2.4.6 ; python_full_version < '3.12'",
        "numpy==2.5.5 ; python_full_version >= '3.12'",
        "Torch==2.14.1 --hash=sha256:03",
    ]
    with pytest.raises(ValueError, match="make lock"):
        pinned(["timm"], [tmp_path / "a.lock"])


@pytest.mark.parametrize("image", ["trainer", "controller"])
def test_each_image_leaves_out_only_what_the_project_requires(image: str) -> None:
    dockerfile = (
        (ROOT / "images" / image / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    )
    call = re.search(
        r"requirements.py pyproject.toml (.*) --lock (.*) --without ([^>]*)>", dockerfile
    )
    assert call is not None
    extras, names = call[1].split()[1::2], call[3].split()
    wanted = requirements(ROOT / "pyproject.toml", extras, names)
    assert not any(re.match(rf"{name}\b(?!-)", line) for line in wanted for name in names)
    assert any(line.startswith("psycopg2") for line in wanted)
    assert not any(line.startswith(("pytest", "ruff", "mypy")) for line in wanted)
    locked = pinned(wanted, [ROOT / name for name in call[2].split()])
    assert all("==" in line for line in locked)


@pytest.mark.parametrize("image", ["trainer", "controller"])
def test_the_builder_is_given_all_that_an_image_copies(image: str) -> None:
    dockerfile = (ROOT / "images" / image / "Dockerfile").read_text(encoding="utf-8")
    allowed = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(Path(source).match(pattern) for pattern in allowed), source
