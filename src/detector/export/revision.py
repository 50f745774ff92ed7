"""Which code exported a model."""

import os
import subprocess
from pathlib import Path


def code_revision() -> str | None:
    """The revision of detsweep's code: of the clone that it runs from, or what `DETSWEEP_REVISION`
    says in an image. None where neither is known."""
    if named := os.environ.get("DETSWEEP_REVISION"):
        return named
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        asked = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    except OSError:  # git is not installed
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
