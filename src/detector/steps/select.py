"""The fourth step: choose the sweep's best configuration, say why, and report the sweep."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from detector.choosing import PageScores
from detector.choosing.pages import KeptEpoch
from detector.choosing.ranking import Choice, Contender, Rescore, choose_trial
from detector.config import apply_params
from detector.console import say
from detector.data.folds import SWEEP_FOLD
from detector.errors import SweepError
from detector.steps.agent import HeldByChild, finish_trials
from detector.steps.child import GRACE_S, Work
from detector.steps.report import render_sweep, sweep_content
from detector.steps.run import Best, Run, rescored_key, trial_key
from detector.steps.trained import train_to_the_end, training_seconds
from detector.sweep.backends import open_backend, open_step_backend
from detector.sweep.best import best_trial, override_words, scored_trials
from detector.sweep.trial import TrialRecord
from detector.sweepfile.space import off_centre
from detector.sweepfile.spec import MetricSpec, SweepSpec

COMPARED_BY = "val/hmean"
"""The metric whose counts by page every training keeps."""


@dataclass(frozen=True)
class Selection:
    """The best trial, and the sweep's report as HTML."""

    best: Best
    report: str


def finish_and_select(
    store_url: str, backend_url: str, sweep_id: str, agents: int, trials_per_agent: int
) -> Selection:
    """`finish_trials`, then `select`."""
    finish_trials(store_url, backend_url, sweep_id, agents, trials_per_agent)
    return select(store_url, backend_url, sweep_id)


def select_lastingly(
    store_url: str,
    backend_url: str,
    sweep_id: str,
    agents: int,
    trials_per_agent: int,
    grace_s: float = GRACE_S,
) -> Selection:
    """`finish_and_select` in a child that this process outlives (see `detector.steps.child`)."""
    held = HeldByChild(open_step_backend(backend_url), sweep_id)
    arguments = (store_url, backend_url, sweep_id, agents, trials_per_agent)
    return Work(
        "select", finish_and_select, lambda: arguments, held.hear, held.give_back, grace_s
    ).done()


def select(store_url: str, backend_url: str, sweep_id: str) -> Selection:
    """Write best.yaml, choice.json, trials.json, rungs.json and report.html of the sweep.

    Trials that tie may be trained again on other folds, as `folds.rescore` allows.

    Raises:
        SweepError: no trial has a score.
        PreemptedError: it was asked to end before it had chosen.
    """
    run = Run(store_url)
    backend = open_backend(backend_url)
    spec, trials = backend.spec(sweep_id), backend.trials(sweep_id)
    leader = best_trial(trials, spec.metric.goal)
    if leader is None:
        reasons = "; ".join(f"trial {t.number}: {t.reason}" for t in trials if t.reason)
        raise SweepError(
            f"none of the {len(trials)} trials has a score. {reasons}",
            where=f"sweep {sweep_id}",
            remedy="mend the reason, then begin a new run in another store",
        )
    choice = _choose(run, sweep_id, spec, trials, leader)
    chosen = leader.number if choice is None else choice.trial
    winner = next(trial for trial in trials if trial.number == chosen)
    best = _by_its_curve(winner, spec.metric)
    if choice is not None:
        best = _by_its_pages(best, run.kept(trial_key(sweep_id, chosen)), choice)
    rungs = backend.rungs(sweep_id)
    content = sweep_content(run, sweep_id, spec, trials, winner, choice, rungs)
    report = render_sweep(run, content)
    folder = f"sweeps/{sweep_id}"
    if choice is not None:
        run.store.write(f"{folder}/choice.json", choice.to_json())
    run.store.write(f"{folder}/best.yaml", best.to_yaml())
    run.store.write(f"{folder}/trials.json", json.dumps([asdict(t) for t in trials]))
    run.store.write(f"{folder}/rungs.json", json.dumps(list(rungs)))
    run.store.write(f"{folder}/report.html", report)
    for reason in best.reasons:
        say(reason)
    say(f"best of {len(trials)} trials: trial {best.trial}, {best.metric} {best.value:.4f}")
    return Selection(best, report)


def _choose(
    run: Run,
    sweep_id: str,
    spec: SweepSpec,
    trials: Sequence[TrialRecord],
    leader: TrialRecord,
) -> Choice | None:
    """The choice by pages; None where the sweep goes by something that pages do not tell."""
    metric = spec.metric
    if not spec.trains_detector or (metric.name, metric.goal) != (COMPARED_BY, "maximize"):
        return None
    config = run.config()
    contenders, incumbent = [], None
    for trial in scored_trials(trials):
        key = trial_key(sweep_id, trial.number)
        if not run.has_pages(key):
            continue
        pages = run.pages(key)
        own = apply_params(config, trial.params)
        cost = training_seconds(run, key, own.trainer.max_epochs)
        centre = off_centre(trial.params, spec.parameters)
        is_whole = trial.state == "finished"
        contenders.append(Contender(trial.number, pages, cost, centre, is_whole))
        if incumbent is None and own.digest() == config.digest():
            incumbent = trial.number
    if leader.number not in {contender.trial for contender in contenders}:
        return None
    return choose_trial(
        contenders,
        incumbent,
        budget=config.folds.rescore,
        folds=[fold for fold in range(config.folds.count) if fold != SWEEP_FOLD],
        rescore=_rescore_by_training(run, sweep_id, trials),
    )


def _rescore_by_training(run: Run, sweep_id: str, trials: Sequence[TrialRecord]) -> Rescore:
    params = {trial.number: trial.params for trial in trials}

    def rescore(trial: int, fold: int) -> PageScores:
        say(f"training trial {trial} again without fold {fold}, for it ties with others")
        key = rescored_key(sweep_id, trial, fold)
        config = apply_params(run.config(), params[trial])
        train_to_the_end(run, key, config, run.folds(), fold, f"trial {trial} on fold {fold}")
        return run.pages(key)

    return rescore


def _by_its_curve(winner: TrialRecord, metric: MetricSpec) -> Best:
    epoch, value = winner.best(metric.goal) or (0, float("nan"))
    reason = (
        f"Trial {winner.number} has the best {metric.name}. Its lead may be noise: counts by "
        f"page are kept for {COMPARED_BY} alone."
    )
    return Best(
        trial=winner.number,
        params=dict(winner.params),
        metric=metric.name,
        value=value,
        epoch=epoch,
        overrides=override_words(winner.params),
        reasons=[reason],
    )


def _by_its_pages(best: Best, kept: KeptEpoch, choice: Choice) -> Best:
    """`best` with the score of the weights that are kept, in place of the curve's."""
    interval = choice.chosen.score
    return replace(
        best,
        value=kept.hmean,
        epoch=kept.epoch,
        low=interval.low,
        high=interval.high,
        reasons=list(choice.reasons),
    )
