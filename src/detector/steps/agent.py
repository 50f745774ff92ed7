"""The third step, of which many run side by side: train trials until the sweep has no more."""

from detector.config import apply_params
from detector.console import say
from detector.steps.run import Run, trial_key
from detector.steps.trained import train_in_store
from detector.sweep.agent import AgentEvent, AgentSummary, run_agent
from detector.sweep.backends import open_backend
from detector.sweep.trial import TrialEnd, TrialHandle

SWEEP_FOLD = 0
"""Every trial leaves out this fold's pages and is measured on them."""


def run_sweep_agent(
    store_url: str, backend_url: str, sweep_id: str, agent: str, count: int | None = None
) -> AgentSummary:
    """Take trials of the sweep and train them, each in its folder of the store.

    Args:
        agent: a name that tells this agent from the others.
        count: end after this many trials; None runs until the sweep is done.

    Raises:
        SweepError: there is no such sweep, or one trial after the other failed.
        DataError: the data set is not the one that the run was prepared with.
    """
    run = Run(store_url)
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

    return run_agent(
        open_backend(backend_url),
        sweep_id,
        train_trial,
        agent=agent,
        count=count,
        on_event=_say_event,
        max_epochs=config.trainer.max_epochs,
    )


def _say_event(event: AgentEvent) -> None:
    say(event.text if event.trial is None else f"trial {event.trial} · {event.text}")
