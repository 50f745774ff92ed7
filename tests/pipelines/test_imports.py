"""What `detsweep run` loads before it prints its second line."""

import json
import subprocess
import sys

HEAVY = ["numba", "plotly", "timm", "torch"]


def test_a_run_starts_without_what_only_its_steps_need() -> None:
    """Each takes seconds to import, and kfp looks through all modules for each of its tasks."""
    program = "import json, sys, pipelines.run; print(json.dumps(sorted(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, encoding="utf-8"
    )
    assert not set(HEAVY) & set(json.loads(loaded.stdout))
