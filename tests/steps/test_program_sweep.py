"""A sweep of a program of the user's own, from its file to its trials: no data set, no detector."""

from pathlib import Path

from typer.testing import CliRunner

from detector.cli.sweep import app
from detector.steps.agent import run_sweep_agent
from detector.steps.run import Run
from detector.sweep.opening import open_backend

PROGRAM = """
import sys
from detector.sweep import log
width = int(sys.argv[1].partition("=")[2])
for epoch in range(1, 4):
    log({"loss": width / epoch})
"""
SWEEP = """\
method: grid
program: {program}
metric: {{name: loss, goal: minimize{target}}}
parameters:
  width: {{values: [8, 4, 2]}}
"""


def swept(folder: Path, target: str = "") -> dict[int, dict[int, float]]:
    """The curves of the trials, by the width that each was given."""
    program, file = folder / "train.py", folder / "sweep.yaml"
    program.write_text(PROGRAM, encoding="utf-8")
    file.write_text(SWEEP.format(program=program, target=target), encoding="utf-8")
    store, url = str(folder / "run"), f"journal:///{folder}/sweeps"
    words = ["init", str(file), "--store", store, "--backend", url]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    sweep = open_backend(url).open(result.stdout.splitlines()[-1])
    run_sweep_agent(Run(store), sweep, "a1")
    return {int(str(trial.params["width"])): dict(trial.curve) for trial in sweep.trials()}


def test_every_trial_is_a_run_of_the_program_with_its_parameters(tmp_path: Path) -> None:
    curves = swept(tmp_path)
    assert curves == {width: {1: width, 2: width / 2, 3: width / 3} for width in (8, 4, 2)}
    assert len(list((tmp_path / "run").rglob("output.log"))) == 3


def test_no_trial_is_begun_once_one_reached_the_target(tmp_path: Path) -> None:
    curves = swept(tmp_path, target=", target: 1.5")
    assert set(curves) == {8, 4}
    assert curves[4] == {1: 4, 2: 2, 3: 4 / 3}
