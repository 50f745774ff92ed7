"""Kernels compiled ahead: a training and a scoring find nothing left to compile."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from detector.data.synthetic.drawing import draw_receipts

pytest.importorskip("numba", reason="detsweep[train] is not installed")

USE = """
import sys
import numpy as np
from detector.data.data_set import DataSet
from detector.data.images import read_image
from detector.data.targets import build_targets
from detector.detecting.postprocess import decode
from detector.evaluation.cleval.evaluate import evaluate_page
from detector.evaluation.iou import evaluate_iou

page = DataSet.read(sys.argv[1]).pages()[0]
height, width = read_image(page.image, 10**8).shape[:2]
outlines = [box.points for box in page.boxes]
targets = build_targets(outlines, [box.ignore for box in page.boxes], height, width)
found = decode(targets.shrink_map.astype(np.float32)).polygons
print(evaluate_page(page.boxes, found).hmean > 0.5, evaluate_iou(page.boxes, found).matched > 0)
"""


def python(words: list[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )


@pytest.mark.slow
def test_nothing_is_left_to_compile(tmp_path: Path) -> None:
    draw_receipts(tmp_path / "data", train=1, held_out=0, seed=3)
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    ahead = python(["-m", "detector.evaluation.ahead"], cache)
    used = python(["-c", USE, str(tmp_path / "data")], cache)
    assert "compiling" in ahead.stderr
    assert (used.stdout, used.stderr) == ("True True\n", "")
