"""What an image installs is checked by the hashes of the locks."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="images are built by a shell")


@dataclass
class Index:
    """A package index in a folder, and the lines of a lock that has its hashes."""

    folder: Path
    lock: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, version: str = "1.0", needs: str = "", locked: bool = True) -> None:
        """A wheel of nothing but a name and what it needs."""
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        path = self.folder / name / f"{name}-{version}-py3-none-any.whl"
        (path.parent / "index.html").write_text(
            f'<a href="{path.name}">{path.name}</a>', encoding="utf-8"
        )
        about = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(
                f"{about}/METADATA", metadata + (f"Requires-Dist: {needs}\n" if needs else "")
            )
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
        if locked:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            self.lock[name] = f"{name}=={version} --hash=sha256:{digest}\n"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index")


def install(index: Index, requirements: str, **environment: str) -> tuple[set[str], str]:
    """What is installed afterwards, and what was said."""
    here = index.folder.parent
    uv = Path(sys.executable).with_name("uv")
    (here / "requirements.txt").write_text(requirements, encoding="utf-8")
    (here / "locks.txt").write_text("".join(index.lock.values()), encoding="utf-8")
    venv.create(here / "venv", symlinks=True)
    script = ROOT / "images" / "install.sh"
    said = subprocess.run(
        [script, here / "venv", here / "requirements.txt", here / "locks.txt"],
        env={
            "PATH": os.environ["PATH"],
            "UV": str(uv),
            "PIP_INDEX_URL": index.folder.as_uri(),
            **environment,
        },
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    ).stderr
    site = next((here / "venv").glob("lib/python*/site-packages"))
    return {path.name.removesuffix(".dist-info") for path in site.glob("*.dist-info")}, said


def test_what_the_locks_hold_is_installed_with_what_it_needs(index: Index) -> None:
    index.add("page", needs="ink")
    index.add("ink")
    assert install(index, "page==1.0\n")[0] == {"page-1.0", "ink-1.0"}


def test_a_file_that_is_not_the_locks_is_refused(index: Index) -> None:
    index.add("page", needs="ink")
    index.add("ink")
    index.add("ink", needs="page", locked=False)  # exchanged where the packages lie
    installed, said = install(index, "page==1.0\n")
    assert not installed
    assert "Hash mismatch for `ink==1.0`" in said


def test_what_the_locks_lack_is_refused(index: Index) -> None:
    index.add("page", needs="ink")
    index.add("ink", locked=False)
    installed, said = install(index, "page==1.0\n")
    assert not installed
    assert "no trusted hash was provided for: `ink`" in said


def test_torch_of_another_index_is_taken_and_the_rest_is_checked(
    index: Index, tmp_path: Path
) -> None:
    """As the builds without CUDA are: other files of the same version, which need less."""
    index.add("torch", needs="triton")
    index.add("timm", needs="torch")
    others = Index(tmp_path / "without-cuda")
    others.add("torch", "1.0+cpu")
    installed, said = install(index, "torch==1.0\ntimm==1.0\n", TORCH_INDEX=others.folder.as_uri())
    assert installed == {"torch-1.0+cpu", "timm-1.0"}, said
    shutil.rmtree(tmp_path / "venv")
    index.add("timm", locked=False, needs="torch>=1")
    installed, said = install(index, "torch==1.0\ntimm==1.0\n", TORCH_INDEX=others.folder.as_uri())
    assert installed == {"torch-1.0+cpu"}
    assert "Hash mismatch for `timm==1.0`" in said
