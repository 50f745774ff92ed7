"""Has numba compile every kernel while an image is built: trains on a few drawn receipts."""

import subprocess
import sys
import tempfile
from pathlib import Path

from detector.data.synthetic.drawing import draw_receipts

_SMALL = [
    "preset=quickstart",
    "trainer.max_epochs=1",
    "models.scheduler.T_max=1",
    "folds.count=2",
]


def main() -> None:
    """Have numba compile what a training and a detector need."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        draw_receipts(data, train=8, held_out=2, seed=3)
        command = [sys.executable, "-c", "from detector.cli.main import run; run()", "train"]
        subprocess.run(
            [*command, "--fold=0", f"data.path={data}", *_SMALL], check=True, cwd=scratch
        )


if __name__ == "__main__":
    main()
