"""The kernels compiled before they are needed, while something else is waited for.

A process compiles what it calls, once on a machine (see `detector.compiled`). Processes that start
together would each compile the same, with nothing else to do meanwhile.
"""

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator


def compile_kernels() -> None:
    """Do with one small page what training and scoring do, so that every kernel is called."""
    # They load numba, which whoever has them compiled by another process does without.
    import numpy as np  # noqa: PLC0415

    from detector.data.page import TextBox  # noqa: PLC0415
    from detector.data.targets import build_targets  # noqa: PLC0415
    from detector.detecting.postprocess import decode  # noqa: PLC0415
    from detector.evaluation.cleval.evaluate import evaluate_page  # noqa: PLC0415

    word = np.array([[8.0, 8], [88, 8], [88, 24], [8, 24]])
    upright = np.array([[8.0, 40], [24, 40], [24, 120], [8, 120]])
    arc = np.array([[40.0, 40], [80, 40], [120, 48], [120, 64], [80, 56], [40, 56]])
    outlines = [word, upright, arc]
    boxes = [TextBox(outline, "word") for outline in outlines]
    targets = build_targets(outlines, [False] * 3, 128, 128)
    found = decode(targets.shrink_map.astype(np.float32))
    evaluate_page(boxes, found.polygons)


@contextlib.contextmanager
def compiling_ahead() -> Iterator[None]:
    """Have a process of its own compile the kernels meanwhile, if any are to be compiled."""
    if importlib.util.find_spec("numba") is None:
        yield
        return
    with subprocess.Popen(
        [sys.executable, "-m", __name__], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    compile_kernels()
