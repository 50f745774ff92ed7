"""The fourth step: choose the sweep's best configuration, say why, and report the sweep."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from detector.choosing.pages import PageScores
from detector.choosing.ranking import Choice, Contender, choose_trial
from detector.config.loading import apply_params
from detector.config.metrics import METRIC
from detector.config.schema import Config
from detector.console import say
from detector.data.folds import SWEEP_FOLD
from detector.errors import SweepError
from detector.steps.agent import HeldByChild, finish_trials
from detector.steps.child import GRACE_S, Work
from detector.steps.nothing_found import refuse_if_nothing_is_found
from detector.steps.run import Run
from detector.steps.sweep_file import require_sweep_file
from detector.steps.train import train_to_the_end
from detector.sweep.best import scored_trials
from detector.sweep.opening import SweepAddress
from detector.sweep.outcome import SweepOutcome
from detector.sweep.protocol import Sweep
from detector.sweep.trial import TrialRecord
from detector.sweepfile.space import Space, off_centre
from detector.wording import counted


@dataclass(frozen=True)
class Selection:
    """What the sweep has come to, and its report as HTML."""

    outcome: SweepOutcome
    report: str


def finish_and_select(
    run: Run, address: SweepAddress, agents: int, trials_per_agent: int
) -> Selection:
    """`finish_trials`, then `select`."""
    finish_trials(run, address, agents, trials_per_agent)
    return select(run, address.open())


def select_lastingly(
    run: Run, address: SweepAddress, agents: int, trials_per_agent: int, grace_s: float = GRACE_S
) -> Selection:
    """`finish_and_select` in a child that this process outlives (see `detector.steps.child`)."""
    held = HeldByChild(address.open())
    arguments = (run, address, agents, trials_per_agent)
    return Work(
        "select", finish_and_select, lambda: arguments, held.hear, held.release, grace_s
    ).done()


def select(run: Run, sweep: Sweep) -> Selection:
    """Choose the best trial, and leave the sweep's outcome and its report.

    Trials that tie may be trained again on other folds, as `folds.rescore` allows.

    Raises:
        SweepError: no trial has a score, none has found any text, or the database does not go
            with the run's sweep file.
        ConfigError: a trial has values that the file does not allow.
        PreemptedError: it was asked to end before it had chosen.
    """
    require_sweep_file(run, sweep)
    so_far = SweepOutcome.so_far(sweep)
    leader = so_far.best
    if leader is None:
        reasons = "; ".join(f"trial {t.number}: {t.reason}" for t in so_far.trials if t.reason)
        raise SweepError(
            f"none of {counted(len(so_far.trials), 'trial')} has a score. {reasons}",
            where=f"sweep {sweep.id}",
            remedy="mend the reason, then begin a new run in another store",
        )
    refuse_if_nothing_is_found(sweep, so_far.trials)
    outcome = _by_pages(run, so_far, leader, sweep.spec.parameters) or _by_curves(so_far, leader)
    # It loads what draws, which the process that waits for this one does without.
    from detector.steps.report import render_sweep  # noqa: PLC0415

    report = render_sweep(run, outcome)
    run.write_outcome(outcome)
    run.write_sweep_report(report)
    for reason in outcome.reasons:
        say(reason)
    chosen = outcome.as_plain()
    say(
        "best of {}: trial {trial}, {metric} {value:.4f}".format(
            counted(len(outcome.trials), "trial"), **chosen
        )
    )
    return Selection(outcome, report)


def _by_curves(so_far: SweepOutcome, leader: TrialRecord) -> SweepOutcome:
    """The outcome where trials cannot be compared by page."""
    reason = (
        f"Trial {leader.number} has the best {so_far.metric}. Its lead may be noise: counts by "
        f"page are kept for {METRIC} alone."
    )
    return replace(so_far, choice=Choice(leader.number, [], [reason]))


def _by_pages(
    run: Run, so_far: SweepOutcome, leader: TrialRecord, space: Space
) -> SweepOutcome | None:
    """The outcome by scores on pages; None where the sweep goes by something that pages do not
    show, or the leader has kept none."""
    is_comparable = (so_far.metric, so_far.goal) == (METRIC, "maximize")
    if not (so_far.trains_detector and is_comparable):
        return None
    rivals = _Rivals(run, run.config, so_far.trials)
    contenders = rivals.contenders(space)
    if leader.number not in {contender.trial for contender in contenders}:
        return None
    choice = choose_trial(
        contenders,
        rivals.incumbent,
        budget=rivals.config.folds.rescore,
        folds=[fold for fold in range(rivals.config.folds.count) if fold != SWEEP_FOLD],
        rescore=rivals.rescore,
    )
    return replace(so_far, choice=choice, kept_epoch=run.trial(choice.trial).kept.epoch)


@dataclass(frozen=True)
class _Rivals:
    """The trials that have kept their counts by page.

    Attributes:
        config: that the sweep began from.
    """

    run: Run
    config: Config
    trials: Sequence[TrialRecord]

    def contenders(self, space: Space) -> list[Contender]:
        contenders = []
        for trial in scored_trials(self.trials):
            training = self.run.trial(trial.number)
            if training.has_kept:
                epochs = self.config_of(trial).trainer.max_epochs
                contenders.append(
                    Contender(
                        trial.number,
                        training.kept.pages,
                        seconds=training.seconds(epochs),
                        off_centre=off_centre(trial.params, space),
                        is_whole=trial.state == "finished",
                    )
                )
        return contenders

    @property
    def incumbent(self) -> int | None:
        """The trial of the configuration that the sweep began from."""
        digest = self.config.digest()
        same = (t for t in scored_trials(self.trials) if self.config_of(t).digest() == digest)
        return next((t.number for t in same if self.run.trial(t.number).has_kept), None)

    def config_of(self, trial: TrialRecord) -> Config:
        return apply_params(self.config, trial.params)

    def rescore(self, trial: int, fold: int) -> PageScores:
        """Train a trial's configuration without another fold, and measure it on that one."""
        say(f"training trial {trial} again without fold {fold}, for it ties with others")
        record = next(record for record in self.trials if record.number == trial)
        training = self.run.rescored(trial, fold)
        train_to_the_end(training, self.config_of(record), self.run.folds(), fold)
        return training.kept.pages
