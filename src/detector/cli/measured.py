"""How fast this machine is, as `detsweep plan` and `detsweep run --dry-run` measure and show it."""

from typing import TYPE_CHECKING

from rich.console import Console

from detector.console import say
from detector.wording import counted

if TYPE_CHECKING:
    from detector.config.schema import Config
    from detector.data.folds import Folds
    from detector.planning.estimate import Work
    from detector.planning.throughput import Throughput
    from detector.sweepfile.spec import SweepSpec

MEASURED_S = 45.0
"""How long a device is timed, at most."""


def measure_work(
    config: "Config", folds: "Folds", spec: "SweepSpec", seconds: float, trials: int | None = None
) -> "tuple[Throughput, Work]":
    """Train for some seconds here, and what that makes of a run; see `Work.of`."""
    from detector.planning.estimate import Work
    from detector.planning.throughput import measure_throughput

    say(f"training for up to {seconds:.0f} s")
    measured = measure_throughput(config, folds, seconds)
    return measured, Work.of(measured, config, folds, spec, trials)


def print_measured(measured: "Throughput", work: "Work", console: Console) -> None:
    """Say what the device does in which time."""
    crops, trials = counted(measured.batch, "crop"), counted(work.trials, "trial")
    epochs, folds = counted(work.max_epochs, "epoch"), counted(work.folds, "fold")
    lines = (
        f"{measured.device}: {measured.step_seconds:.2f} s a step ({crops} at "
        f"once), {measured.page_seconds:.2f} s a validated page, {measured.start_seconds:.0f} s "
        "to start",
        f"an epoch takes {duration(work.epoch_seconds)}, a training of {epochs} "
        f"{duration(work.training_hours * 3600)}; {trials}, then {folds} "
        f"and up to {counted(work.rescored, 'training')} to choose by; the ensemble takes "
        f"{duration(work.ensemble_seconds)}",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Some seconds as a person says them.

    >>> duration(42), duration(400), duration(9000)
    ('42 s', '6.7 min', '2.5 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
