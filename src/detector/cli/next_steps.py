"""What to do with a finished model: commands that work as they are printed, in any folder."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.steps.run import Run


def next_steps(run: "Run") -> list[str]:
    """Commands for a run's model: find text on a page, score it, show its mistakes.

    None where the model is not on this machine, since they take a file.
    """
    from detector.data.source import fetch

    model = Path(run.ensemble.model_url)
    if not model.is_file():
        return []
    data = fetch(run.config.data.path).absolute()
    page = next(data / entry.name for entry in run.manifest.pages if entry.fold is None)
    labelled = ["--data", str(data), "--model", str(model.absolute())]
    return [
        shlex.join([*this_program(), *words])
        for words in (
            ["predict", str(page), "--model", str(model.absolute()), "--overlay", "found"],
            ["evaluate", *labelled],
            ["errors", *labelled, "--out", "mistakes"],
        )
    ]


def this_program() -> list[str]:
    """How this program is called again from any folder: by its name where that leads to it."""
    program = Path(sys.argv[0])
    if program.stem != "detsweep":
        return [sys.executable, "-c", "from detector.cli.main import run; run()"]
    found = shutil.which("detsweep")
    if found and Path(found).resolve() == program.resolve():
        return ["detsweep"]
    return [str(program.absolute())]
