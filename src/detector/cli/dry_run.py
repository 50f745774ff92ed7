"""`detsweep run --dry-run`: the steps of a run, what each takes and how long it will take. Some
seconds of training are timed for that; nothing is left in the run store."""

from typing import TYPE_CHECKING

from rich.console import Console

from detector.cli.measured import MEASURED_S, duration, measure_work, print_measured
from detector.console import narrow_table, plain_console, say
from detector.data.folds import SWEEP_FOLD
from detector.steps.first_look import AskedRun
from detector.steps.run import Run
from detector.wording import counted

if TYPE_CHECKING:
    from rich.table import Table

    from detector.data.folds import Folds
    from detector.planning.estimate import Estimate, Range

_UNKNOWN = "-"
_HOUR_S = 3600


def show_dry_run(asked: AskedRun, gpus: int) -> None:
    """Look at everything that a run would take, predict its hours, and print both.

    Args:
        gpus: of this machine. Without one its cores are shared by all that train at once.
    """
    from detector.data.opening import split_pages

    asked.refuse_what_cannot_end_well()
    folds = split_pages(asked.config)
    console = plain_console()
    _print_inputs(asked, folds, console)
    at_once = max(1, min(asked.agents, gpus))
    estimate = _estimate(asked, folds, at_once, console)
    console.print(_steps_table(asked, folds, estimate))
    if estimate is not None:
        shared = "" if at_once == asked.agents else "; trainings at once share what there is"
        console.print(
            f"all: {_spread(estimate.total)} on this machine{shared}",
            highlight=False,
            soft_wrap=True,
        )
    say("nothing was started, and nothing is left in the store")


def _estimate(asked: AskedRun, folds: "Folds", at_once: int, console: Console) -> "Estimate | None":
    from detector.planning.estimate import estimate

    if asked.spec.trial_limit is None:
        say("no hours: without a run_cap the sweep goes on until `detsweep sweep stop`")
        return None
    measured, work = measure_work(asked.config, folds, asked.spec, MEASURED_S)
    print_measured(measured, work, console)
    return estimate(work, asked.spec, at_once)


def _print_inputs(asked: AskedRun, folds: "Folds", console: Console) -> None:
    spec, config = asked.spec, asked.config
    varying = sum(distribution.axis() is not None for distribution in spec.parameters.values())
    limit = "no limit" if spec.trial_limit is None else counted(spec.trial_limit, "trial")
    lines = {
        "data": f"{asked.data}: {counted(len(folds.training(None)), 'page')} in "
        f"{counted(config.folds.count, 'fold')}, {len(folds.held_out)} held out",
        "sweep file": f"{asked.file}: {spec.method}, {limit}, "
        f"{counted(varying, 'parameter')} searched",
        "configuration": " ".join(asked.overrides) or "as it is by default",
        "store": f"{asked.store}: {_state_of(asked)}",
        "trials in": asked.shown_backend,
        "prefer": asked.prefer,
        "baseline": asked.baseline or "none",
    }
    for name, value in lines.items():
        console.print(f"{name:14} {value}", highlight=False, soft_wrap=True)


def _state_of(asked: AskedRun) -> str:
    """How far the run has come that is kept there."""
    run = Run(asked.store)
    if run.begun is None:
        return "prepared" if run.is_prepared else "a new run"
    if run.ensemble.find_outcome() is not None:
        return "a run that has its model"
    return f"goes on with sweep {run.begun.id}"


def _steps_table(asked: AskedRun, folds: "Folds", estimate: "Estimate | None") -> "Table":
    config = asked.config
    limit = asked.spec.trial_limit
    trials = "trials without end" if limit is None else counted(limit, "trial")
    pages = counted(len(folds.validation(SWEEP_FOLD)), "page")
    trained = len(config.folds.trained)
    table = narrow_table("\nSteps")
    for header in ("step", "takes", "does"):
        table.add_column(header)
    table.add_column("time", justify="right")
    by_pages = _spread(estimate.sweep) if estimate else _UNKNOWN
    by_folds = _spread(estimate.folds) if estimate else _UNKNOWN
    at_last = duration(estimate.ensemble * _HOUR_S) if estimate else _UNKNOWN
    rows = (
        ("prepare", "data, configuration", "checks pages, splits folds", _UNKNOWN),
        ("sweep-init", "sweep file", "checks it, creates the sweep", _UNKNOWN),
        (
            f"agent, {asked.agents} at once",
            f"all folds but 0, which has {pages}",
            f"{trials} of {counted(config.trainer.max_epochs, 'epoch')} at most",
            by_pages,
        ),
        (
            "select",
            "scores by page",
            f"names the best trial, by up to {counted(config.folds.rescore, 'training')} more",
            "with fold",
        ),
        (
            f"fold, {min(asked.agents, trained)} at once",
            "the best configuration",
            f"{counted(trained, 'model')}; one is the best trial's",
            by_folds,
        ),
        (
            "ensemble",
            f"{counted(trained, 'model')}, {counted(len(folds.held_out), 'held-out page')}",
            "measures candidates, writes the model and its report",
            at_last,
        ),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _spread(hours: "Range") -> str:
    """The middle, and from where to where nine of ten runs end."""
    low, middle, high = (duration(h * _HOUR_S) for h in (hours.low, hours.middle, hours.high))
    return middle if low == high else f"{middle} ({low}\N{EN DASH}{high})"
