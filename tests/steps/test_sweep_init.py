"""The second step: one store has one sweep."""

from pathlib import Path

import pytest

from detector.errors import SweepError
from detector.steps.run import Run
from detector.steps.sweep_init import init_sweep
from detector.sweep.trial import Stopping

SWEEP = """\
method: random
run_cap: 2
metric: {name: val/hmean, goal: maximize}
parameters:
  models.optimizer.lr: {min: 0.001, max: 0.01}
"""


def backend_in(folder: Path) -> str:
    return f"sqlite:///{folder}/sweep.db"


def test_the_same_file_again_is_the_same_sweep(tmp_path: Path) -> None:
    first = init_sweep(Run(str(tmp_path)), backend_in(tmp_path), SWEEP)
    assert init_sweep(Run(str(tmp_path)), backend_in(tmp_path), SWEEP) == first
    assert (tmp_path / "sweeps" / first.id / "sweep.yaml").read_text(encoding="utf-8") == SWEEP


BANDS = "early_terminate: {type: hyperband, min_iter: 5}\n"
OWN = "detsweep: {stopping: adaptive}\n"
LENGTH = "  trainer.max_epochs: {value: 20}\n"


@pytest.mark.parametrize(
    ("sweep", "stopping", "said"),
    [
        (SWEEP, "file", "no trial is ended early"),
        (SWEEP.replace("run_cap", BANDS + "run_cap"), "file", "at the bands of early_terminate"),
        (SWEEP + LENGTH, "adaptive", "own rule, judged at epoch 2 and 4"),
        (SWEEP.replace("random", "bayes") + LENGTH, "file", "no trial is ended early"),
        (SWEEP + LENGTH + OWN, "file", "own rule, judged at epoch 2 and 4"),
        (SWEEP + OWN, "file", "once one has been trained whole"),
    ],
)
def test_a_line_says_what_ends_trials_early(
    sweep: str, stopping: Stopping, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init_sweep(Run(str(tmp_path)), backend_in(tmp_path), sweep, stopping)

    assert said in capsys.readouterr().out


def test_another_file_is_refused(tmp_path: Path) -> None:
    init_sweep(Run(str(tmp_path)), backend_in(tmp_path), SWEEP)
    with pytest.raises(SweepError, match="another sweep file"):
        init_sweep(Run(str(tmp_path)), backend_in(tmp_path), SWEEP.replace("0.01", "0.02"))


def test_a_file_that_is_not_valid_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(SweepError):
        init_sweep(Run(str(tmp_path)), backend_in(tmp_path), SWEEP.replace("random", "guess"))
    assert list(tmp_path.iterdir()) == []
