"""Rules about the training that a sweep searches: what its configuration makes of the values."""

import difflib
import math
from collections.abc import Iterator, Sequence

from detector.config.keys import known_keys
from detector.config.loading import apply_params, nearest_key
from detector.config.metrics import GOALS
from detector.errors import ConfigError
from detector.search.hyperband import Goal
from detector.sweepfile.check.document import Parameter
from detector.sweepfile.check.finding import Edit, Finding
from detector.sweepfile.check.numbers import as_yaml, round_down, round_up
from detector.sweepfile.check.subject import Subject, config_value, extremes, is_number, samples
from detector.sweepfile.space import Categorical, Constant, Distribution, IntUniform, LogUniform
from detector.sweepfile.spec import is_settled
from detector.training.needs import NEEDS, Lack, lack_of

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


def need_that_is_not_met(subject: Subject) -> Iterator[Finding]:
    """A network, weights or a device that the trials would look for in vain."""
    if not subject.trains_detector or subject.spec is None:
        return
    for key in NEEDS:
        parameter = subject.document.parameter(key)
        given = parameter.distribution if parameter else None
        values = [config_value(subject.config, key)] if given is None else list(given.grid() or ())
        lacks = {i: lack for i, v in enumerate(values) if (lack := _lack(subject, key, v))}
        if not lacks:
            continue
        first = next(iter(lacks.values()))
        every = len(lacks) == len(values)
        edits: tuple[Edit, ...] = ()
        if isinstance(given, Categorical) and parameter is not None and not every:
            certain = [i for i, lack in lacks.items() if not lack.may_be_elsewhere]
            if "probabilities" not in parameter.settings:
                edits = subject.document.remove_items(parameter.settings["values"], certain)
        cost = "every trial fails at once" if every else "the trials that draw such values fail"
        yield Finding(
            "warning" if all(lack.may_be_elsewhere for lack in lacks.values()) else "error",
            parameter.entry.line if parameter else subject.line(),
            f"{first.error.where or key}: {first.error.problem}",
            f"{cost}{', where they run on such a machine' if first.may_be_elsewhere else ''}",
            first.error.remedy or "take another value",
            edits,
        )


def _lack(subject: Subject, key: str, value: object) -> Lack | None:
    constants = subject.spec.constants if subject.spec else {}
    try:
        return lack_of(apply_params(subject.config, {**constants, key: value}), key)
    except ConfigError:  # which the rule above has said
        return None


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
    return is_number(value) and ends is not None and not ends[0] <= value <= ends[1]


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


def metric_that_is_not_logged(subject: Subject) -> Iterator[Finding]:
    """A metric that no training reports: every trial ends without a score."""
    entry = subject.document.get("metric", "name")
    if entry is None or not subject.trains_detector or subject.metric in GOALS:
        return
    near = difflib.get_close_matches(str(entry.value), GOALS, n=1, cutoff=0.5)
    misspelt = difflib.get_close_matches(str(entry.value), near, cutoff=0.75)
    yield Finding(
        "error",
        entry.line,
        f"no training logs {entry.value!r}",
        "no trial gets a score, so that nothing is learnt, stopped or chosen",
        f"write {near[0]}" if near else f"choose one of {', '.join(GOALS)}",
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
        right = GOALS.get(subject.metric)
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
    need_that_is_not_met,
    incumbent_outside_its_range,
    metric_that_is_not_logged,
    goal_against_the_metric,
)
