"""The documentation as a site: every page is in it, and a broken link stops the build."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytest.importorskip("material", reason="the extra `docs` is not installed")


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def test_every_page_is_built_and_diagrams_are_drawn(copy: Path) -> None:
    done = build(copy)
    assert done.returncode == 0, done.stderr
    for page in (copy / "docs").glob("*.md"):
        name = "" if page.stem == "README" else page.stem
        assert (copy / "site" / name / "index.html").is_file()
    assert '<pre class="mermaid">' in (copy / "site/architecture/index.html").read_text("utf-8")


@pytest.mark.parametrize(
    "wrong", ["[x](nowhere.md)", "[x](metric.md#nowhere)", "[x](../nowhere.md)"]
)
def test_a_link_that_leads_nowhere_stops_the_build(copy: Path, wrong: str) -> None:
    with (copy / "docs/report.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{wrong}\n")
    assert build(copy).returncode != 0


def test_a_page_that_no_menu_has_stops_the_build(copy: Path) -> None:
    (copy / "docs/new.md").write_text("# New\n", encoding="utf-8")
    assert build(copy).returncode != 0
