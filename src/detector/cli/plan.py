"""`detsweep plan`: how long a run will take on how many GPUs, from a minute of training here."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from detector.cli.completing import Overrides
from detector.cli.finite import finite
from detector.cli.measured import MEASURED_S, measure_work, print_measured
from detector.cli.progress import spinning
from detector.cli.run import Data, SweepFile
from detector.config.loading import load_config
from detector.console import narrow_table, plain_console
from detector.data.processes import require_equal_shares
from detector.errors import DetsweepError
from detector.extras import need
from detector.wording import counted

if TYPE_CHECKING:
    from detector.planning.estimate import Estimate, Range

_AGENT_CPUS, _AGENT_GIB = 4, 24
"""What an agent's pod asks for. Whatever comes before and after the agents asks for no more."""
_STORAGE_CPUS, _STORAGE_GIB = 1, 2
"""What charts/detsweep-storage asks for, its tests included, rounded up."""
_SMALL_STEPS_CPUS, _SMALL_STEPS_GIB = 1, 1
"""For the pods that Kubeflow starts beside each step, which would wait for a place otherwise."""


def plan_run(
    data: Data,
    sweep: SweepFile,
    overrides: Overrides = None,
    agents: Annotated[int, typer.Option(min=1, help="How many agents, a GPU each.")] = 2,
    gpus_per_fold: Annotated[
        int, typer.Option(min=1, help="On how many GPUs a fold is trained.")
    ] = 1,
    trials: Annotated[
        int | None, typer.Option(min=1, help="How many trials, in place of the sweep's run_cap.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, callback=finite, help="How long to train at most.")
    ] = MEASURED_S,
) -> None:
    """Print the hours and GPU hours of a sweep, its folds and the ensemble.

    It trains for some seconds on this machine's device, so run it on one like the cluster's.
    """
    need("train")
    with spinning("loading torch"):
        from detector.data.opening import split_pages
        from detector.planning.estimate import estimate
        from detector.sweepfile.spec import parse_sweep, read_sweep_file

    config = load_config([*(overrides or []), f"data.path={data}"])
    spec = parse_sweep(read_sweep_file(sweep), str(sweep))
    if not spec.trains_detector:
        raise DetsweepError(
            "only trials of the detector can be planned",
            where=str(sweep),
            remedy="for a program of your own, time one trial by hand",
        )
    require_equal_shares(config, gpus_per_fold)
    folds = split_pages(config)
    measured, work = measure_work(config, folds, spec, seconds, trials)
    counts = sorted({1, 2, 4, 8, 16, agents})
    rows = [estimate(work, spec, count, gpus_per_fold) for count in counts]
    console = plain_console()
    print_measured(measured, work, console)
    console.print(_table(rows, agents))
    asked = next(row for row in rows if row.agents == agents)
    console.print(_quota(asked), highlight=False, soft_wrap=True)


def _table(rows: "list[Estimate]", agents: int) -> Table:
    table = narrow_table("\nHours: the middle, and from where to where nine of ten sweeps end")
    for header in ("agents", "sweep", "folds", "all", "GPU hours"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            str(row.agents),
            _hours(row.sweep),
            _hours(row.folds),
            _hours(row.total),
            _hours(row.gpu_hours),
            style="bold green" if row.agents == agents else None,
        )
    return table


def _hours(spread: "Range") -> str:
    low, middle, high = (f"{value:.2g}" for value in (spread.low, spread.middle, spread.high))
    return middle if low == high else f"{middle} ({low}\N{EN DASH}{high})"


def quota(agents: int, gpus: int) -> dict[str, str]:
    """What a namespace's ResourceQuota must allow for a run and the storage beside it.

    >>> quota(agents=3, gpus=4)
    {'requests.nvidia.com/gpu': '4', 'requests.cpu': '18', 'requests.memory': '99Gi'}
    """
    pods = max(agents, gpus)
    cpus = pods * _AGENT_CPUS + _STORAGE_CPUS + _SMALL_STEPS_CPUS
    gib = pods * _AGENT_GIB + _STORAGE_GIB + _SMALL_STEPS_GIB
    return {
        "requests.nvidia.com/gpu": str(gpus),
        "requests.cpu": str(cpus),
        "requests.memory": f"{gib}Gi",
    }


def _quota(asked: "Estimate") -> str:
    hard = ", ".join(f"{key}: {value}" for key, value in quota(asked.agents, asked.gpus).items())
    return f"quota for {counted(asked.agents, 'agent')} and the storage: {hard}"
