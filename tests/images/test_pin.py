"""The bases of the images are named by digest, once somebody has asked for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIGEST = f"sha256:{'0a' * 32}"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="images are built by a shell")


def pin(images: Path, tools: Path, answer: str) -> "subprocess.CompletedProcess[str]":
    """Run it where a registry gives this answer. No registry can be reached from a test."""
    tools.mkdir(exist_ok=True)
    crane = tools / "crane"
    crane.write_text(f'#!/bin/sh\necho "$2" >> {tools}/asked\necho "{answer}"\n', encoding="utf-8")
    crane.chmod(0o755)
    return subprocess.run(
        [images / "pin.sh"],
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "images", tmp_path / "images")
    return tmp_path / "images"


def test_a_digest_is_written_behind_the_tag_and_replaced_by_the_next(
    images: Path, tmp_path: Path
) -> None:
    for answer in (DIGEST, DIGEST.replace("0a", "0b")):
        done = pin(images, tmp_path / "tools", answer)
        assert done.returncode == 0, done.stderr
        for name in ("controller", "trainer"):
            before = (ROOT / "images" / name / "Dockerfile").read_text(encoding="utf-8")
            (base,) = (line for line in before.splitlines() if line.startswith("ARG BASE_IMAGE="))
            written = (images / name / "Dockerfile").read_text(encoding="utf-8")
            assert written == before.replace(base, f"{base.partition('@')[0]}@{answer}")
    assert "@" not in (tmp_path / "tools" / "asked").read_text(encoding="utf-8")


def test_an_answer_that_is_no_digest_changes_nothing(images: Path, tmp_path: Path) -> None:
    done = pin(images, tmp_path / "tools", "<html>")
    assert done.returncode == 1
    assert "<html>" in done.stderr
    for name in ("controller", "trainer"):
        dockerfile = Path("images") / name / "Dockerfile"
        assert (tmp_path / dockerfile).read_bytes() == (ROOT / dockerfile).read_bytes()
