"""The sweep file that a run was begun with: it, and not the database, says what agents run."""

from detector.errors import SweepError
from detector.steps.run import Run
from detector.sweep.protocol import Sweep
from detector.sweepfile.allowed import refuse_another_file
from detector.sweepfile.spec import check_parameter_names, read_sweep


def require_sweep_file(run: Run, sweep: Sweep, given: str | None = None) -> None:
    """Refuse a sweep whose database names something else to run than the run's sweep file.

    Args:
        given: the content of the sweep file, where the store is not the one of `sweep init`.

    Raises:
        SweepError: it does, or there is no file of a sweep that runs a program.
        StoreError: the store's file is not the one that the run was begun with.
    """
    text = run.sweep_file if given is None else given
    if text is not None:
        where = run.sweep_file_url if given is None else "the sweep file"
        refuse_another_file(read_sweep(text, where), sweep.spec, where)
    elif not sweep.spec.trains_detector:
        raise SweepError(
            f"this store does not hold the sweep file of {sweep.id}, and what the database says "
            "is not run unseen",
            where=run.url,
            remedy="give the --store of `sweep init`, or the sweep file by --file",
        )
    else:
        check_parameter_names(sweep.spec.parameters, f"sweep {sweep.id}")
