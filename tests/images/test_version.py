"""The version has one home, which the images' build script reads."""

import re
import subprocess
from pathlib import Path

from detector.version import __version__

ROOT = Path(__file__).parents[2]


def test_the_build_script_finds_the_version() -> None:
    script = (ROOT / "images" / "build.sh").read_text(encoding="utf-8")
    (command,) = re.findall(r"^version=\$\((.*)\)$", script, re.MULTILINE)
    found = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    )
    assert found.stdout.strip() == __version__
    workflow = (ROOT / ".github" / "workflows" / "cluster.yaml").read_text(encoding="utf-8")
    assert f"version=$({command})" in workflow
