"""Rules about the course of a training: the learning rate over its epochs, and its early end."""

import math
from collections.abc import Iterator, Sequence

from detector.search.hyperband import Hyperband
from detector.search.rungs import rungs
from detector.sweepfile.check.document import Parameter
from detector.sweepfile.check.finding import Edit, Finding
from detector.sweepfile.check.numbers import as_yaml, round_down, round_up
from detector.sweepfile.check.subject import Subject, is_number, samples
from detector.sweepfile.space import Categorical, Distribution, IntUniform, LogUniform, Uniform


def eta_min_above_lr(subject: Subject) -> Iterator[Finding]:
    """A cosine whose end lies above its start."""
    lr, eta_min = "models.optimizer.lr", "models.scheduler.eta_min"
    if not subject.has_configuration:
        return
    rate, floor = subject.reach(lr), subject.reach(eta_min)
    swept = subject.document.parameter(eta_min) or subject.document.parameter(lr)
    if rate is None or floor is None or swept is None or floor.high <= rate.low:
        return
    always = floor.low > rate.high
    edits, fix = _below_lr(subject, rate.low, floor.low, floor.high)
    yield Finding(
        "error" if always else "warning",
        swept.entry.line,
        f"eta_min reaches {floor.high:.4g}, and lr goes down to {rate.low:.4g}",
        f"the rate rises instead of falling in {_part_that_fails(subject, lr, eta_min)}"
        f"{', which fail at once' if subject.trains_detector else ''}",
        fix,
        edits,
    )


def _below_lr(
    subject: Subject, least_rate: float, least_floor: float, most_floor: float
) -> tuple[tuple[Edit, ...], str]:
    document = subject.document
    floor = document.parameter("models.scheduler.eta_min")
    rate = document.parameter("models.optimizer.lr")
    if floor and isinstance(floor.distribution, Uniform | LogUniform) and least_floor < least_rate:
        limit = as_yaml(round_down(least_rate))
        if "max" in floor.settings and _takes_limits(floor.distribution):
            entry = floor.settings["max"]
            return (document.replace(entry.node, limit),), f"lower eta_min's max to {limit}"
    if rate and isinstance(rate.distribution, Uniform | LogUniform):
        limit = as_yaml(round_up(most_floor))
        fits = float(limit) < rate.distribution.max
        if "min" in rate.settings and _takes_limits(rate.distribution) and fits:
            entry = rate.settings["min"]
            return (document.replace(entry.node, limit),), f"raise lr's min to {limit}"
    return (), "keep eta_min's values below lr's"


def _takes_limits(distribution: Distribution) -> bool:
    return not (isinstance(distribution, LogUniform) and distribution.takes_exponents)


def _part_that_fails(subject: Subject, lr: str, eta_min: str) -> str:
    """How many of the pairs that may be drawn cannot be trained."""
    rates, floors = (_drawn(subject, key) for key in (lr, eta_min))
    bad = sum(floor > rate for rate in rates for floor in floors)
    share = bad / (len(rates) * len(floors))
    return f"about {share:.0%} of the trials" if share >= 0.005 else "some trials"


def _drawn(subject: Subject, key: str) -> list[float]:
    parameter = subject.document.parameter(key)
    if parameter is None or parameter.distribution is None:
        found = subject.reach(key)
        return [found.low] if found else []
    return [value for value in samples(parameter.distribution) if is_number(value)]


def t_max_is_not_the_epochs(subject: Subject) -> Iterator[Finding]:
    """A cosine that turns before the training ends, or has not come down by then."""
    key = "models.scheduler.T_max"
    if not subject.has_configuration or subject.epochs is None:
        return
    found = subject.reach(key)
    parameter = subject.document.parameter(key) or subject.document.parameter("trainer.max_epochs")
    if found is None or parameter is None:
        return
    fewest, most = subject.epochs
    values = found.values or (found.low, found.high)
    short = [value for value in values if value < most]
    long = [value for value in values if value > fewest]
    swept = subject.document.parameter(key)
    if short:
        yield Finding(
            "warning",
            parameter.entry.line,
            f"T_max {_numbers(short)} is below the {most} epochs of a trial",
            "after epoch T_max the learning rate rises again, and undoes what was learnt",
            f"take no T_max below {most}",
            _at_least(subject, swept, most) if swept else (),
        )
    if long:
        left = (1 + math.cos(math.pi * fewest / max(long))) / 2
        yield Finding(
            "warning" if left > 0.3 else "note",
            parameter.entry.line,
            f"T_max {_numbers(long)} is above the {fewest} epochs of a trial",
            f"the rate never anneals: with {max(long):g} the training ends at {left:.0%} of the "
            "way from eta_min to lr",
            f"take no T_max far above {fewest}",
            _at_most(subject, swept, fewest) if swept else (),
        )


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _at_least(subject: Subject, parameter: Parameter, epochs: int) -> tuple[Edit, ...]:
    distribution = parameter.distribution
    if isinstance(distribution, Categorical) and "probabilities" not in parameter.settings:
        low = [i for i, v in enumerate(distribution.values) if is_number(v) and v < epochs]
        if len(low) < len(distribution.values):
            return subject.document.remove_items(parameter.settings["values"], low)
    if isinstance(distribution, IntUniform) and distribution.max > epochs:
        return (subject.document.replace(parameter.settings["min"].node, str(epochs)),)
    return (subject.document.replace(parameter.entry.node, f"{{value: {epochs}}}"),)


def _at_most(subject: Subject, parameter: Parameter, epochs: int) -> tuple[Edit, ...]:
    """Up to half as much again, where the rate has come down to a quarter."""
    distribution, most = parameter.distribution, epochs * 3 // 2
    if isinstance(distribution, Categorical) and "probabilities" not in parameter.settings:
        high = [i for i, v in enumerate(distribution.values) if is_number(v) and v > most]
        if len(high) < len(distribution.values):
            return subject.document.remove_items(parameter.settings["values"], high)
    if isinstance(distribution, IntUniform) and distribution.min < most:
        return (subject.document.replace(parameter.settings["max"].node, str(most)),)
    return (subject.document.replace(parameter.entry.node, f"{{value: {epochs}}}"),)


def bands_that_cannot_act(subject: Subject) -> Iterator[Finding]:
    """Bands at or beyond the last epoch stop nothing."""
    rule, section = subject.hyperband, subject.document.get("early_terminate")
    if rule is None or section is None:
        return
    bands = sorted(set(rule.bands()))
    epochs = subject.epochs[1] if subject.epochs else None
    if not bands:
        yield Finding(
            "error",
            section.line,
            f"max_iter {rule.max_iter} with eta {rule.eta:g} leaves no band of at least 1",
            "W&B's engine fails at its first check, and nothing is stopped",
            "raise max_iter, or give min_iter",
        )
    elif epochs is not None and bands[0] >= epochs:
        first = max(1, epochs // 9) if epochs > 1 else None
        entry = subject.document.get("early_terminate", "min_iter")
        by_min = entry is not None and rule.s is None and first is not None
        yield Finding(
            "warning",
            (entry or section).line,
            f"the first band is at epoch {bands[0]}, and a trial has {epochs}",
            "no trial is ever stopped: bad ones are trained to their end",
            f"write min_iter: {first}" if first else "take early_terminate out",
            (subject.document.replace(entry.node, str(first)),) if entry and by_min else (),
        )


def stopping_rule(subject: Subject) -> Iterator[Finding]:
    """Which epochs decide, and what that should save."""
    section = subject.document.get("early_terminate")
    epochs = subject.epochs[1] if subject.epochs else None
    if epochs is None or (section is not None and subject.hyperband is None):
        return
    judged = rungs(epochs)
    if subject.document.value("detsweep", "stopping") == "adaptive" and judged:
        yield Finding(
            "note",
            subject.line("detsweep"),
            f"trials are judged at epoch {_numbers(judged)} of {epochs}, by the model of their "
            "curves",
            f"one that is stopped costs {judged[0] / epochs:.0%} to {judged[-1] / epochs:.0%} of "
            "a whole trial",
            "early_terminate without `detsweep` would compare them as W&B does, at its bands",
        )
    elif section is not None and subject.hyperband is not None:
        yield from _bands_decide(subject.hyperband, section.line, epochs, judged)
    elif subject.method == "bayes" and judged:
        yield Finding(
            "note",
            subject.line("method"),
            "every trial is trained to its end, as with W&B",
            "the file has no early_terminate",
            "`detsweep: {stopping: adaptive}` would end hopeless ones by the model of their "
            f"curves, from epoch {judged[0]} of {epochs} on",
        )


def _bands_decide(
    rule: Hyperband, line: int, epochs: int, judged: Sequence[int]
) -> Iterator[Finding]:
    acting = [band for band in sorted(set(rule.bands())) if band < epochs]
    if acting:
        yield Finding(
            "note",
            line,
            f"trials are compared at epoch {_numbers(acting)} of {epochs}, as W&B does",
            f"if one in {rule.eta:g} goes on at each, a trial takes "
            f"{_expected_epochs(acting, epochs, rule):.1f} epochs on average",
            "a smaller min_iter stops bad trials sooner, and good ones that start slowly too; "
            f"--stopping adaptive would judge them at epoch {_numbers(judged)}",
        )


def _expected_epochs(bands: Sequence[int], epochs: int, rule: Hyperband) -> float:
    ends = [*bands, epochs]
    gaps = [end - start for start, end in zip([0, *bands], ends, strict=True)]
    return sum(gap / rule.eta**number for number, gap in enumerate(gaps))


RULES = (
    eta_min_above_lr,
    t_max_is_not_the_epochs,
    bands_that_cannot_act,
    stopping_rule,
)
