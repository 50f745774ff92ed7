"""Rules about the training that a sweep searches: what its configuration makes of the values."""

import difflib
import math
from collections.abc import Iterator, Sequence

from detector.config import apply_params, known_keys, nearest_key
from detector.errors import ConfigError
from detector.sweep.check.document import Parameter
from detector.sweep.check.finding import Edit, Finding
from detector.sweep.check.numbers import as_yaml, round_down, round_up
from detector.sweep.check.subject import Subject, config_value, extremes, is_number, samples
from detector.sweep.hyperband import Goal, Hyperband
from detector.sweep.space import Categorical, Constant, Distribution, IntUniform, LogUniform
from detector.sweep.spec import is_settled

DETECTOR_METRICS: dict[str, Goal | None] = {
    "val/hmean": "maximize",
    "val/recall": "maximize",
    "val/precision": "maximize",
    "val/hmean_pages": "maximize",
    "train/loss": "minimize",
    "lr": None,
    "seconds": None,
}
"""What a training of the detector logs after each epoch, and which way is better."""

_RISING = ("hmean", "recall", "precision", "accuracy", "acc", "f1", "iou", "auc", "map", "score")
_FALLING = ("loss", "error", "err", "mse", "rmse", "mae", "perplexity", "wer", "cer")
_TRIED = 9
"""How many values of a range are shown to the configuration."""

_MARGIN = 2.0
"""How far beyond the incumbent a widened range reaches: it could be better still."""


def unknown_configuration_key(subject: Subject) -> Iterator[Finding]:
    """A parameter that the detector's configuration does not have."""
    if not subject.trains_detector:
        return
    known = set(known_keys())
    for parameter in subject.parameters:
        if parameter.name in known or is_settled(parameter.name):
            continue
        near = nearest_key(parameter.name)
        above = parameter.name.removesuffix(parameter.entry.name)
        edits: tuple[Edit, ...] = ()
        if near and near.startswith(above) and subject.document.parameter(near) is None:
            edits = (subject.document.replace(parameter.entry.key, near.removeprefix(above)),)
        yield Finding(
            "error",
            parameter.entry.line,
            f"{parameter.name!r} is no configuration key",
            "every trial would fail, or train without it",
            f"write {near}" if near else "`detsweep config keys` lists what a sweep may vary",
            edits,
        )


def key_settled_before_the_sweep(subject: Subject) -> Iterator[Finding]:
    """A parameter that no trial may change."""
    for parameter in subject.parameters if subject.trains_detector else ():
        if is_settled(parameter.name):
            yield Finding(
                "error",
                parameter.entry.line,
                f"{parameter.name!r} is settled before the sweep begins",
                "trials with other data or other folds cannot be compared",
                "give it to the run as an override, and take it out here",
                (subject.document.remove(parameter.entry),) if len(subject.parameters) > 1 else (),
            )


def value_that_the_configuration_refuses(subject: Subject) -> Iterator[Finding]:
    """Values of a wrong type, or out of a key's own range."""
    known = set(known_keys()) if subject.trains_detector else set()
    for parameter, distribution in subject.valid_parameters():
        if parameter.name not in known or is_settled(parameter.name):
            continue
        values = samples(distribution, _TRIED)
        refused = {i: r for i, v in enumerate(values) if (r := _refusal(subject, parameter, v))}
        if not refused:
            continue
        every = len(refused) == len(values)
        choice = isinstance(distribution, Categorical)
        edits: tuple[Edit, ...] = ()
        if choice and not every and "probabilities" not in parameter.settings:
            entry = parameter.settings["values"]
            edits = subject.document.remove_items(entry, list(refused))
        elif "distribution" not in parameter.settings:
            edits = _whole_limits(subject, parameter)
        yield Finding(
            "error" if every or choice else "warning",
            parameter.entry.line,
            f"{parameter.name}: {next(iter(refused.values()))}",
            "every trial fails at once" if every else "the trials that draw such values fail",
            "take such values out" if choice else "give a range of values that are allowed",
            edits,
        )


def _refusal(subject: Subject, parameter: Parameter, value: object) -> str | None:
    try:
        apply_params(subject.config, {parameter.name: value})
    except ConfigError as error:
        # An error about another place is of two keys that do not go together.
        return error.problem if (error.where or "").startswith(parameter.name) else None
    return None


def _whole_limits(subject: Subject, parameter: Parameter) -> tuple[Edit, ...]:
    """`min: 10.0` as `min: 10`, where a key takes whole numbers only."""
    current = config_value(subject.config, parameter.name)
    limits = [parameter.number(name) for name in ("min", "max")]
    whole = all(limit is not None and float(limit).is_integer() for limit in limits)
    if type(current) is not int or not whole:
        return ()
    return tuple(
        subject.document.replace(parameter.settings[name].node, str(int(limit or 0)))
        for name, limit in zip(("min", "max"), limits, strict=True)
    )


def incumbent_outside_its_range(subject: Subject) -> Iterator[Finding]:
    """What is known to be good, and cannot be found."""
    if not subject.has_configuration:
        return
    for parameter, distribution in subject.valid_parameters():
        if isinstance(distribution, Constant) or is_settled(parameter.name):
            continue
        known = [config_value(config, parameter.name) for config in subject.incumbents]
        plain = {value for value in known if isinstance(value, bool | int | float | str)}
        outside = sorted((v for v in plain if _lies_outside(distribution, v)), key=str)
        if not outside:
            continue
        edits, widened = _widened(subject, parameter, distribution, outside)
        shown = " and ".join(f"{v:.4g}" if isinstance(v, float) else repr(v) for v in outside)
        yield Finding(
            "warning",
            parameter.entry.line,
            f"{parameter.name}: the configuration has {shown}, which {_range(distribution)} "
            "leaves out",
            "the best that is known cannot be found, nor anything near it or beyond it",
            widened or "let the range hold it",
            edits,
        )


def _lies_outside(distribution: Distribution, value: object) -> bool:
    if isinstance(distribution, Categorical):
        return value not in distribution.values
    ends = extremes(distribution)
    return is_number(value) and ends is not None and not ends[0] <= value <= ends[1]  # type: ignore[operator]


def _range(distribution: Distribution) -> str:
    if isinstance(distribution, Categorical):
        return f"{distribution.values}"
    low, high = extremes(distribution) or (math.nan, math.nan)
    return f"{low:.4g} to {high:.4g}"


def _widened(
    subject: Subject, parameter: Parameter, distribution: Distribution, outside: Sequence[object]
) -> tuple[tuple[Edit, ...], str | None]:
    document = subject.document
    if isinstance(distribution, Categorical):
        if "probabilities" in parameter.settings or not all(map(is_number, outside)):
            return (), None
        entry = parameter.settings["values"]
        words = [as_yaml(v) for v in outside if isinstance(v, int | float)]
        return document.append_items(entry, words), f"add {', '.join(words)}"
    if isinstance(distribution, LogUniform) and distribution.distribution.startswith("inv"):
        return (), None
    numbers = [float(value) for value in outside if isinstance(value, int | float)]
    ends = extremes(distribution)
    edits: list[Edit] = []
    said: list[str] = []
    for name, value in (("min", min(numbers)), ("max", max(numbers))):
        if ends is None or name not in parameter.settings:
            return (), None
        if value < ends[0] if name == "min" else value > ends[1]:
            limit = _beyond(distribution, value, name)
            word = as_yaml(int(limit) if isinstance(distribution, IntUniform) else limit)
            edits.append(document.replace(parameter.settings[name].node, word))
            said.append(f"{name}: {word}")
    return tuple(edits), f"widen the range: {', '.join(said)}" if said else None


def _beyond(distribution: Distribution, value: float, name: str) -> float:
    """A limit that leaves room beyond a value, as the distribution's `min` or `max` means it."""
    outward = round_down if name == "min" else round_up
    if isinstance(distribution, IntUniform):
        return value
    if isinstance(distribution, LogUniform):
        room = value / _MARGIN if name == "min" else value * _MARGIN
        return outward(math.log(room) if distribution.takes_exponents else room)
    low, high = extremes(distribution) or (value, value)
    room = (high - low) / 4
    return outward(max(0.0, value - room) if name == "min" else value + room)


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
            f"T_max {_listed(short)} is below the {most} epochs of a trial",
            "after epoch T_max the learning rate rises again, and undoes what was learnt",
            f"take no T_max below {most}",
            _at_least(subject, swept, most) if swept else (),
        )
    if long:
        left = (1 + math.cos(math.pi * fewest / max(long))) / 2
        yield Finding(
            "warning" if left > 0.3 else "note",
            parameter.entry.line,
            f"T_max {_listed(long)} is above the {fewest} epochs of a trial",
            f"the rate never anneals: with {max(long):g} the training ends at {left:.0%} of the "
            "way from eta_min to lr",
            f"take no T_max far above {fewest}",
            _at_most(subject, swept, fewest) if swept else (),
        )


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _at_least(subject: Subject, parameter: Parameter, epochs: int) -> tuple[Edit, ...]:
    distribution = parameter.distribution
    if isinstance(distribution, Categorical) and "probabilities" not in parameter.settings:
        low = [i for i, v in enumerate(distribution.values) if is_number(v) and v < epochs]  # type: ignore[operator]
        if len(low) < len(distribution.values):
            return subject.document.remove_items(parameter.settings["values"], low)
    if isinstance(distribution, IntUniform) and distribution.max > epochs:
        return (subject.document.replace(parameter.settings["min"].node, str(epochs)),)
    return (subject.document.replace(parameter.entry.node, f"{{value: {epochs}}}"),)


def _at_most(subject: Subject, parameter: Parameter, epochs: int) -> tuple[Edit, ...]:
    """Up to half as much again, where the rate has come down to a quarter."""
    distribution, most = parameter.distribution, epochs * 3 // 2
    if isinstance(distribution, Categorical) and "probabilities" not in parameter.settings:
        high = [i for i, v in enumerate(distribution.values) if is_number(v) and v > most]  # type: ignore[operator]
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
    epochs = _scored_epochs(subject)
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
    rule, section = subject.hyperband, subject.document.get("early_terminate")
    epochs = _scored_epochs(subject)
    if rule is None or section is None or epochs is None:
        return
    acting = [band for band in sorted(set(rule.bands())) if band < epochs]
    if acting:
        yield Finding(
            "note",
            section.line,
            f"trials are compared at epoch {_listed(acting)} of {epochs}, as W&B does",
            f"if one in {rule.eta:g} goes on at each, a trial takes "
            f"{_expected_epochs(acting, epochs, rule):.1f} epochs on average",
            "a smaller min_iter stops bad trials sooner, and good ones that start slowly too",
        )


def _scored_epochs(subject: Subject) -> int | None:
    """How many epochs of a trial are validated: bands count those."""
    if subject.epochs is None:
        return None
    first = subject.config.trainer.validate_from_epoch if subject.trains_detector else 1
    return subject.epochs[1] - first + 1


def _expected_epochs(bands: Sequence[int], epochs: int, rule: Hyperband) -> float:
    ends = [*bands, epochs]
    gaps = [end - start for start, end in zip([0, *bands], ends, strict=True)]
    return sum(gap / rule.eta**number for number, gap in enumerate(gaps))


def metric_that_is_not_logged(subject: Subject) -> Iterator[Finding]:
    """A metric that no training reports: every trial ends without a score."""
    entry = subject.document.get("metric", "name")
    if entry is None or not subject.trains_detector or subject.metric in DETECTOR_METRICS:
        return
    near = difflib.get_close_matches(str(entry.value), DETECTOR_METRICS, n=1, cutoff=0.5)
    misspelt = difflib.get_close_matches(str(entry.value), near, cutoff=0.75)
    yield Finding(
        "error",
        entry.line,
        f"no training logs {entry.value!r}",
        "no trial gets a score, so that nothing is learnt, stopped or chosen",
        f"write {near[0]}" if near else f"choose one of {', '.join(DETECTOR_METRICS)}",
        (subject.document.replace(entry.node, near[0]),) if misspelt else (),
    )


def goal_against_the_metric(subject: Subject) -> Iterator[Finding]:
    """A search for the worst. W&B's default is minimize."""
    entry, goal = subject.document.get("metric", "name"), subject.document.get("metric", "goal")
    current = goal.value if goal else "minimize"
    if entry is None or subject.metric is None or current not in ("minimize", "maximize"):
        return
    right = _natural_goal(subject.metric) if not subject.trains_detector else None
    if subject.trains_detector:
        right = DETECTOR_METRICS.get(subject.metric)
    if right is None or right == current:
        return
    better = "more" if right == "maximize" else "less"
    yield Finding(
        "error" if subject.trains_detector else "warning",
        (goal or entry).line,
        f"the goal for {subject.metric} is {current}"
        f"{'' if goal else ', which is the default'}, but {better} of it is better",
        "the search goes for the worst configuration",
        f"write goal: {right}",
        (
            subject.document.replace(goal.node, right)
            if goal
            else subject.document.insert_after(entry, f"goal: {right}"),
        ),
    )


def _natural_goal(metric: str) -> Goal | None:
    words = metric.replace("/", "_").replace(".", "_").replace("-", "_").lower().split("_")
    if any(word in _FALLING for word in words):
        return "minimize"
    return "maximize" if any(word in _RISING for word in words) else None


RULES = (
    unknown_configuration_key,
    key_settled_before_the_sweep,
    value_that_the_configuration_refuses,
    incumbent_outside_its_range,
    t_max_is_not_the_epochs,
    bands_that_cannot_act,
    stopping_rule,
    metric_that_is_not_logged,
    goal_against_the_metric,
)
