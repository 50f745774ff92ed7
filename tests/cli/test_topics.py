"""`detsweep help`: the documentation on the terminal."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector.cli.main import app
from detector.cli.topics import NoTopicError, page_of, section_of, short_form, topics

ROOT = Path(__file__).parents[2]


def shown(*words: str) -> str:
    result = CliRunner().invoke(app, ["help", *words])
    assert result.exit_code == 0, result.exception
    return result.output


def test_every_page_of_the_documentation_is_a_topic() -> None:
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"README"}
    assert set(topics()) == pages
    listed = shown()
    for topic, summary in topics().items():
        assert f"{topic} " in listed
        assert summary in listed


def test_a_topic_is_explained_in_short_with_its_sections() -> None:
    text = shown("sweep-file")
    assert "The sweep file is that of `wandb sweep`" in text or "sweep file" in text
    assert "- early_terminate\n" in text
    assert "- A program of your own\n" in text
    assert "Trials are compared at bands" not in text


def test_a_section_is_found_by_words_of_its_heading() -> None:
    text = shown("sweep-file", "early_terminate")
    assert text.startswith("## early_terminate")
    assert "Trials are compared at bands" in text
    assert "## A program" not in text
    assert shown("sweep-file", "program", "of", "your") == shown("sweep-file", "a program")


def test_the_whole_page_is_printed_with_all_but_its_links() -> None:
    text = shown("sweep-file", "--all")
    assert "## early_terminate" in text
    assert "](" not in text


def test_an_unknown_topic_names_the_nearest() -> None:
    with pytest.raises(NoTopicError, match="did you mean 'metric'"):
        page_of("metrics")
    with pytest.raises(NoTopicError, match="did you mean 'early_terminate'"):
        section_of(page_of("sweep-file"), "early-terminate", "sweep-file")


def test_a_heading_inside_of_code_is_no_section() -> None:
    page = "# A\n\nText.\n\n```sh\n## no heading\n```\n\n## One\n\nMore.\n"
    assert short_form(page, "a").endswith("\n- One\n")
    assert "## no heading" in short_form(page, "a")


@pytest.mark.timeout(120)
def test_a_wheel_has_the_pages(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the extra `docs` is not installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path / "installed")
    script = "from detector.cli.topics import _pages, topics; print(_pages()); print(*topics())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    where, named = done.stdout.splitlines()
    assert Path(where) == tmp_path / "installed/detector/docs"
    assert named.split() == list(topics())
