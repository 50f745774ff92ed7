"""The third step, of which many run side by side: train trials until the sweep has no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detector.config import apply_params
from detector.console import say
from detector.steps.run import Run, trial_key
from detector.steps.trained import train_in_store
from detector.sweep.agent import AgentEvent, AgentSummary, run_agent
from detector.sweep.backends import PATIENCE_S, open_backend
from detector.sweep.program import program_objective
from detector.sweep.spec import SweepSpec
from detector.sweep.target import stop_at_target
from detector.sweep.trial import Objective, TrialEnd, TrialHandle

SWEEP_FOLD = 0
"""Every trial leaves out this fold's pages and is measured on them."""


def run_sweep_agent(
    store_url: str,
    backend_url: str,
    sweep_id: str,
    agent: str,
    count: int | None = None,
    timeout: float | None = None,
) -> AgentSummary:
    """Take trials of the sweep and train them, each in its folder of the store.

    Where the sweep file names a program of the user's own, a trial is a run of that.

    Args:
        agent: a name that tells this agent from the others.
        count: end after this many trials; None runs until the sweep is done.
        timeout: leave after so many seconds, as after SIGTERM.

    Raises:
        SweepError: there is no such sweep, or one trial after the other failed.
        DataError: the data set is not the one that the run was prepared with.
    """
    run, backend = Run(store_url), open_backend(backend_url, patience_seconds=PATIENCE_S)
    spec = backend.spec(sweep_id)
    objective = _detector(run, sweep_id) if spec.trains_detector else _program(run, sweep_id, spec)
    return run_agent(
        backend,
        sweep_id,
        stop_at_target(objective, spec.metric, lambda: backend.stop(sweep_id)),
        agent=agent,
        count=count,
        timeout=timeout,
        on_event=_say_event,
        max_epochs=run.config().trainer.max_epochs if spec.trains_detector else None,
    )


def _detector(run: Run, sweep_id: str) -> Objective:
    config, folds = run.config(), run.folds()

    def train_trial(trial: TrialHandle) -> TrialEnd:
        result = train_in_store(
            run,
            trial_key(sweep_id, trial.number),
            apply_params(config, trial.params),
            folds,
            SWEEP_FOLD,
            lambda metrics: trial.report(metrics.epoch, metrics.values),
        )
        return result.status

    return train_trial


def _program(run: Run, sweep_id: str, spec: SweepSpec) -> Objective:
    @contextmanager
    def folder(trial: int) -> Iterator[Path]:
        with run.store.folder(trial_key(sweep_id, trial)) as kept:
            yield kept.path

    return program_objective(spec, sweep_id, folder)


def _say_event(event: AgentEvent) -> None:
    say(event.text if event.trial is None else f"trial {event.trial} · {event.text}")
