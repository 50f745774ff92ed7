"""Which trial to take: the best one, unless others are within noise of it.

Trials are compared on the pages that all of them were measured on. Those that tie with the leader
may be measured again on another fold's pages, within a budget of trainings; what still ties is
settled by what is known without noise: the cheaper training, one that was trained to its end rather
than one that was stopped early, then the more central configuration.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from detector.choosing.bootstrap import Interval, difference, score
from detector.choosing.pages import PageScores
from detector.wording import counted

TOP = 3
"""How many trials may compete for being named."""
SAME_COST = 1.25
"""Trainings whose durations differ by less than this factor cost the same: agents on one machine
slow each other down by as much."""

FEW_PAGES = 10
"""Of fewer, or fewer groups of them, each draw of the bootstrap rests on some single pages."""


@dataclass(frozen=True)
class Contender:
    """A trial that could be taken.

    Attributes:
        trial: its number.
        pages: its counts on the validation pages.
        seconds: duration of its whole training.
        off_centre: from 0, in the middle of every range searched, to 1, at the ends of all.
        is_whole: it was trained to its end. What was stopped early would have to be trained on.
    """

    trial: int
    pages: PageScores
    seconds: float
    off_centre: float
    is_whole: bool = True


@dataclass(frozen=True)
class Standing:
    """How a trial compares with the leader, the trial of the best score.

    Attributes:
        score: its H-Mean.
        behind: the leader's H-Mean less its own, on the same pages.
    """

    trial: int
    score: Interval
    behind: Interval


@dataclass(frozen=True)
class Choice:
    """The trial that was taken, and why.

    Attributes:
        trial: its number.
        standings: of all contenders as the sweep measured them, best first; empty where trials
            could not be compared by page.
        reasons: sentences that a person can repeat.
    """

    trial: int
    standings: Sequence[Standing]
    reasons: Sequence[str]

    @property
    def chosen(self) -> Standing:
        """How the trial that was taken compares."""
        return next(s for s in self.standings if s.trial == self.trial)


Rescore = Callable[[int, int], PageScores]
"""Train the configuration of a trial without the pages of a fold, and measure it on them."""


def choose_trial(
    contenders: Sequence[Contender],
    incumbent: int | None = None,
    *,
    budget: int = 0,
    folds: Sequence[int] = (),
    rescore: Rescore | None = None,
) -> Choice:
    """Name one trial.

    Args:
        contenders: at least one, all measured on the same pages.
        incumbent: the trial of the configuration that is in use by now.
        budget: the most trainings that `rescore` may be asked for.
        folds: whose pages the contenders have not been measured on.
        rescore: measures a trial again; None where nothing can be trained.
    """
    ranked = sorted(contenders, key=_rank)
    leader = ranked[0]
    standings = [
        Standing(c.trial, score(c.pages), difference(leader.pages, c.pages)) for c in ranked
    ]
    reasons = [_describe_leader(standings[0], leader.pages)]
    within_noise = {s.trial for s in standings if s.behind.contains_zero}
    tied = [c for c in ranked if c.trial in within_noise][:TOP]
    if len(ranked) > 1:
        reasons.append(_describe_followers(standings))
    else:
        reasons.append("No other trial has a score.")
    if len(within_noise) > len(tied):
        reasons.append(f"The {len(tied)} best of these compete for being taken.")
    if rescore is not None and budget:
        tied = _play_off(tied, budget, folds, rescore, reasons)
    chosen = _settle(tied, reasons) if len(ranked) > 1 else leader
    compared = tied[0].pages
    if len(tied) > 1 and compared.group_count < FEW_PAGES:
        reasons.append(few_pages(compared))
    reasons.append(_describe_incumbent(chosen, ranked, incumbent))
    return Choice(chosen.trial, standings, reasons)


def few_pages(pages: PageScores) -> str:
    """The sentence about a comparison on fewer than `FEW_PAGES`."""
    count = pages.group_count
    many = counted(count, "page") if count == len(pages) else f"{count} groups of pages"
    return (
        f"They were compared on {many} only, which cannot show which is better: label at least "
        f"{FEW_PAGES} for each fold to know."
    )


def _rank(contender: Contender) -> tuple[float, int]:
    return -contender.pages.total.hmean, contender.trial


def _play_off(
    tied: Sequence[Contender],
    budget: int,
    folds: Sequence[int],
    rescore: Rescore,
    reasons: list[str],
) -> list[Contender]:
    """Those that still tie after they were measured on the pages of further folds."""
    tied = list(tied)
    for fold in folds:
        if len(tied) < 2:
            break
        if len(tied) > budget:
            reasons.append(
                f"To train them again on fold {fold} takes {len(tied)} trainings, and the "
                f"budget has {budget} left."
            )
            break
        budget -= len(tied)
        tied = sorted((replace(c, pages=c.pages | rescore(c.trial, fold)) for c in tied), key=_rank)
        leader = tied[0]
        reasons.append(
            f"Trained again without fold {fold} and measured on its pages too ({len(leader.pages)} "
            "pages in all): "
            + ", ".join(f"trial {c.trial} {c.pages.total.hmean:.4f}" for c in tied)
            + "."
        )
        tied = [c for c in tied if difference(leader.pages, c.pages).contains_zero]
    return tied


def _settle(tied: Sequence[Contender], reasons: list[str]) -> Contender:
    """The cheaper of those that tie, then one that is trained already, then the more central."""
    leader = tied[0]
    if len(tied) == 1:
        reasons.append(f"Trial {leader.trial} is taken: its lead is more than noise.")
        return leader
    limit = SAME_COST * min(c.seconds for c in tied)
    cheap = [c for c in tied if c.seconds <= limit]
    whole = [c for c in cheap if c.is_whole] or cheap
    chosen = min(whole, key=lambda c: (c.off_centre, _rank(c)))
    why = _why(chosen, tied, cheap, whole)
    reasons.append(f"{_named(tied).capitalize()} tie, and trial {chosen.trial} is taken: {why}.")
    return chosen


def _why(
    chosen: Contender,
    tied: Sequence[Contender],
    cheap: Sequence[Contender],
    whole: Sequence[Contender],
) -> str:
    """What set `chosen` apart, of ever fewer that were left."""
    if len(cheap) == 1:
        return f"its training is the cheapest ({_minutes(chosen.seconds)})"
    alike = "they" if len(cheap) == len(tied) else _named(cheap)
    why = f"{alike} take about as long to train ({_minutes(chosen.seconds)}), "
    if len(whole) == 1:
        return f"{why}and it alone was trained to its end"
    if len(whole) < len(cheap):
        why += f"of them {_named(whole)} were trained to their end, "
    return f"{why}and its values lie nearest to the middle of the ranges searched"


def _named(contenders: Sequence[Contender]) -> str:
    return _listed(sorted(c.trial for c in contenders))


def _describe_leader(best: Standing, pages: PageScores) -> str:
    if not best.score.value:
        return "No trial has found any text, so that none is better than another."
    said = f"Trial {best.trial} has the best H-Mean, {best.score.value:.4f}"
    if pages.group_count < 2:
        return f"{said}, but on pages of one group, which do not show its noise."
    interval = f"{best.score.low:.4f} to {best.score.high:.4f} with 95 % confidence"
    return f"{said} ({interval}, {counted(len(pages), 'page')})."


def _describe_followers(standings: Sequence[Standing]) -> str:
    runner_up, *_ = followers = standings[1:]
    within = [s.trial for s in followers if s.behind.contains_zero]
    behind = runner_up.behind
    said = (
        f"Trial {runner_up.trial} follows {behind.value:.4f} behind "
        f"({behind.low:.4f} to {behind.high:.4f})"
    )
    if not within:
        return f"{said}: more than noise, as is the distance to every other trial."
    if len(within) == 1 and within[0] == runner_up.trial:
        return f"{said}: within noise."
    return f"{said}. Within noise of the best: {_listed(within)}."


def _describe_incumbent(
    chosen: Contender, ranked: Sequence[Contender], incumbent: int | None
) -> str:
    if incumbent is None:
        return "No trial has the configuration that the sweep began from, so the gain is unknown."
    if incumbent == chosen.trial:
        return "It is the configuration that the sweep began from: the search found none better."
    before = next(c for c in ranked if c.trial == incumbent)
    gain = difference(chosen.pages.only(list(before.pages.counts)), before.pages)
    noise = "within noise" if gain.contains_zero else "more than noise"
    return (
        f"Against the configuration that the sweep began from (trial {incumbent}, "
        f"{before.pages.total.hmean:.4f}) the difference is {_difference(gain)}: {noise}."
    )


def _difference(interval: Interval) -> str:
    return f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def _listed(trials: Sequence[int]) -> str:
    if len(trials) == 1:
        return f"trial {trials[0]}"
    *first, last = map(str, trials)
    return f"trials {', '.join(first)} and {last}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
