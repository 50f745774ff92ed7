"""The whole pipeline on this machine, as a function: `detector.run`, and `detsweep run` prints it.

It stands here and not in the package, since the package knows no pipeline.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from detector.choosing.candidates import BALANCE
from detector.data.folds import SWEEP_FOLD
from detector.errors import DetsweepError
from detector.evaluation.ahead import compiling_ahead
from detector.steps.first_look import AskedRun
from detector.steps.forecasting import RunUnderWay
from detector.steps.run import Run
from detector.sweepfile.spec import parse_sweep, read_sweep_file
from pipelines.local import Machine, StepRunner, run_pipeline
from pipelines.screen import Log, Screen, watched


def run(
    data: str | Path,
    sweep: str | Path,
    *,
    overrides: Sequence[str] = (),
    store: str | Path | None = None,
    backend: str | None = None,
    agents: int = 2,
    prefer: str = BALANCE,
    baseline: str = "",
    write: Callable[[str], None] | None = None,
) -> Run:
    """Sweep, train the folds, build the ensemble, write model and report.

    Stopped or failed, it continues where it was when it is called with the same store. Only the
    main thread can call it, since it ends its steps on SIGINT and SIGTERM.

    Args:
        data: the labelled data set: a folder or an s3:// URL.
        sweep: the sweep file.
        overrides: settings in the form `preset=receipts_cpu`.
        store: where the run is kept: a folder or an s3:// URL; by default `runs/` and the name of
            the sweep.
        backend: where the trials are kept, as a URL; SQLite in the store by default.
        agents: how many trials, and later folds, are trained at once.
        prefer: which candidate becomes the model, see `choose_candidate`.
        baseline: the model in use, which the new one is compared with: a path or a URL of an ONNX
            file, or an H-Mean; empty for none.
        write: takes each line that a step prints; standard output by default.

    Returns:
        The run store: `outcome` of the sweep with its best trial, `ensemble` with the model, its
        scores and its report.

    Raises:
        DetsweepError: before the first step, what `AskedRun.refuse_what_cannot_end_well` refuses.
        StepError: a step failed; its own lines say why.
        InterruptedRunError: SIGINT or SIGTERM came, and the steps have ended.
    """
    asked = asked_run(
        data,
        sweep,
        overrides=overrides,
        store=store,
        backend=backend,
        agents=agents,
        prefer=prefer,
        baseline=baseline,
    )
    return run_asked(asked, write)


def run_asked(asked: AskedRun, write: Callable[[str], None] | None = None) -> Run:
    """`run` of what `asked_run` made."""
    asked.refuse_what_cannot_end_well()
    run = Run(asked.store)
    with compiling_ahead():
        if write is not None:
            _run_steps(asked, write)
            return run
        # Opened here: kfp.local has its own standard output meanwhile.
        screen = Screen(sys.stdout) if sys.stdout.isatty() else Log(sys.stdout)
        under_way = RunUnderWay(run, asked.backend, asked.agents)
        with screen, watched(under_way.forecast, screen.show):
            _run_steps(asked, screen.write)
    return run


def _run_steps(asked: AskedRun, write: Callable[[str], None]) -> None:
    # The sweep's own fold has its model from the best trial.
    folds = len(set(asked.config.folds.trained) - {SWEEP_FOLD})
    runner = StepRunner(
        machine=Machine(cores=usable_cores(), gpus=gpu_count()),
        at_once={"agent": asked.agents, "fold": max(1, min(asked.agents, folds))},
        write=write,
    )
    arguments = {
        "data": asked.data,
        "sweep_yaml": asked.sweep_yaml,
        "store_url": asked.store,
        "backend_url": asked.backend,
        "overrides": list(asked.overrides),
        "agents": asked.agents,
        "prefer": asked.prefer,
        "baseline": asked.baseline,
    }
    run_pipeline(arguments, runner, width=asked.agents)


def asked_run(
    data: str | Path,
    sweep: str | Path,
    *,
    overrides: Sequence[str] = (),
    store: str | Path | None = None,
    backend: str | None = None,
    agents: int = 2,
    prefer: str = BALANCE,
    baseline: str = "",
) -> AskedRun:
    """What `run` is asked for, with whole paths and everything that is left out filled in.

    Args and errors are those of `run`.
    """
    file = Path(sweep)
    text = read_sweep_file(file)
    store_url = _absolute(str(store or f"runs/{parse_sweep(text, str(file)).name or file.stem}"))
    return AskedRun(
        data=_absolute(str(data)),
        sweep_yaml=text,
        file=str(file),
        overrides=list(overrides),
        store=store_url,
        backend=backend or _sqlite_in(store_url),
        agents=agents,
        prefer=prefer,
        baseline=_absolute(baseline) if Path(baseline).is_file() else baseline,
    )


def _absolute(url: str) -> str:
    """The steps get whole paths, which mean the same wherever they run."""
    return url if "://" in url else str(Path(url).absolute())


def _sqlite_in(store_url: str) -> str:
    if "://" in store_url:
        raise DetsweepError(
            "SQLite needs a file system, and this store has none",
            where=store_url,
            remedy="name where the trials are kept with --backend (in Python, `backend=`), such "
            "as postgresql://…",
        )
    return sqlite_url(PurePath(store_url))


def sqlite_url(folder: PurePath) -> str:
    r"""Where the trials of a run are kept that lies in a folder.

    >>> from pathlib import PurePosixPath, PureWindowsPath
    >>> sqlite_url(PurePosixPath("/data/run")), sqlite_url(PureWindowsPath(r"C:\my run"))
    ('sqlite:////data/run/sweep.db', 'sqlite:///C:/my run/sweep.db')
    """
    return f"sqlite:///{folder.as_posix()}/sweep.db"


def usable_cores() -> int:
    """How many CPU cores this process may use."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu_count() -> int:
    """How many NVIDIA devices there are. torch knows them too, but takes seconds to import."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
