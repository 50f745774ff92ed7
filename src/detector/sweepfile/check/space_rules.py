"""Rules about the search space: ranges that are reversed, collapse, or say something else."""

import json
import math
from collections.abc import Iterator

from detector.sweepfile.check.document import Parameter, value_of
from detector.sweepfile.check.finding import Edit, Finding
from detector.sweepfile.check.numbers import as_yaml
from detector.sweepfile.check.subject import (
    Subject,
    config_value,
    extremes,
    is_constant,
    samples,
)
from detector.sweepfile.space import (
    Categorical,
    IntUniform,
    LogUniform,
    Uniform,
    grid_size,
)
from detector.wording import counted

_WIDE_RATIO = 100
"""A range that spans so many times its least value is one of orders of magnitude."""


def range_reversed_or_empty(subject: Subject) -> Iterator[Finding]:
    """min above max, or equal to it. W&B does not look into nested parameters for this."""
    document = subject.document
    for parameter in subject.parameters:
        low, high = parameter.number("min"), parameter.number("max")
        if low is None or high is None or low < high:
            continue
        edits: tuple[Edit, ...]
        min_entry, max_entry = parameter.settings["min"], parameter.settings["max"]
        if low > high:
            fix = f"swap them: min {as_yaml(high)}, max {as_yaml(low)}"
            edits = (
                document.replace(min_entry.node, as_yaml(high)),
                document.replace(max_entry.node, as_yaml(low)),
            )
        else:
            fix = f"write `value: {as_yaml(low)}` for a constant"
            edits = (document.replace(parameter.entry.node, f"{{value: {as_yaml(low)}}}"),)
        yield Finding(
            "error",
            min_entry.line,
            f"{parameter.name}: min {as_yaml(low)} is not less than max {as_yaml(high)}",
            "there is nothing to draw; W&B finds this only where the parameter is not nested",
            fix,
            edits,
        )


def exponents_that_look_like_limits(subject: Subject) -> Iterator[Finding]:
    """`log_uniform` takes exponents of e, and most who write it mean limits."""
    for parameter, distribution in subject.valid_parameters():
        if not isinstance(distribution, LogUniform) or not distribution.takes_exponents:
            continue
        kind = parameter.settings["distribution"]
        ends = extremes(distribution)
        assert ends is not None
        values = f"{ends[0]:.7g} to {ends[1]:.7g}"
        renamed = f"{distribution.distribution}_values"
        looks_like_limits = distribution.min > 0
        edits = [subject.document.replace(kind.node, renamed)]
        if not looks_like_limits:
            limits = (distribution.axis().low, distribution.axis().high)
            fix = f"{renamed} with min {limits[0]:.4g} and max {limits[1]:.4g} says the same"
            edits += [
                subject.document.replace(parameter.settings[name].node, as_yaml(_digits(limit)))
                for name, limit in zip(("min", "max"), limits, strict=True)
            ]
        else:
            fix = f"write distribution: {renamed}"
        yield Finding(
            ("error" if distribution.max <= 1 else "warning") if looks_like_limits else "note",
            kind.line,
            f"{parameter.name}: {distribution.distribution} takes exponents of e, so that the "
            f"values are {values}",
            "every trial gets about the same value, which is none of those meant"
            if looks_like_limits
            else "W&B marks this form as deprecated",
            fix,
            tuple(edits),
        )


def value_repeated(subject: Subject) -> Iterator[Finding]:
    """One value twice among `values`."""
    for parameter in subject.parameters:
        entry = parameter.settings.get("values")
        if entry is None:
            continue
        labels = [json.dumps(value_of(node), sort_keys=True, default=str) for node in entry.items]
        repeated = [i for i, label in enumerate(labels) if label in labels[:i]]
        if not repeated:
            continue
        has_weights = "probabilities" in parameter.settings
        yield Finding(
            "error",
            entry.items[repeated[0]].start_mark.line + 1,
            f"{parameter.name}: the value {labels[repeated[0]]} stands in `values` more than once",
            "a grid runs the same trial again, and a sampler takes one choice for two",
            "keep one; `probabilities` make a value likelier",
            () if has_weights else subject.document.remove_items(entry, repeated),
        )


def single_value_as_a_choice(subject: Subject) -> Iterator[Finding]:
    """`values` of one value is a constant."""
    for parameter, distribution in subject.valid_parameters():
        if isinstance(distribution, Categorical) and len(distribution.values) == 1:
            node = parameter.settings["values"].items[0]
            text = subject.document.text[node.start_mark.index : node.end_mark.index]
            yield Finding(
                "warning",
                parameter.entry.line,
                f"{parameter.name}: `values` holds one value, {distribution.values[0]!r}",
                "it looks like a choice and is a constant: nothing is searched here",
                f"write `value: {text}`, or give it more values",
                (subject.document.replace(parameter.entry.node, f"{{value: {text}}}"),)
                if node.start_mark.line == node.end_mark.line
                else (),
            )


def nothing_varies(subject: Subject) -> Iterator[Finding]:
    """A sweep of constants."""
    known = list(subject.valid_parameters())
    if known and len(known) == len(subject.parameters) and not subject.varying():
        yield Finding(
            "error",
            subject.line("parameters"),
            "every parameter is a constant",
            "all trials are the same one",
            "give at least one parameter `values`, or `min` and `max`",
        )


def quantised_to_little(subject: Subject) -> Iterator[Finding]:
    """A `q` that leaves one value of a range, or takes it to zero."""
    for parameter, distribution in subject.valid_parameters():
        if not isinstance(distribution, Uniform | LogUniform):
            continue
        kind = distribution.distribution
        if not kind.startswith("q_"):
            continue
        values = {value for value in samples(distribution) if isinstance(value, int | float)}
        step = 1 if distribution.q is None else distribution.q
        if len(values) == 1:
            problem = f"only the value {values.pop()} is left"
        elif isinstance(distribution, LogUniform) and min(values) == 0:
            problem = "small values become 0"
        else:
            continue
        edits = [subject.document.replace(parameter.settings["distribution"].node, kind[2:])]
        if "q" in parameter.settings:
            edits.append(subject.document.remove(parameter.settings["q"]))
        of_default = " (the default)" if distribution.q is None else ""
        yield Finding(
            "error" if len(values) <= 1 else "warning",
            parameter.entry.line,
            f"{parameter.name}: rounded to multiples of q = {step:g}{of_default}, {problem}",
            "the range has collapsed, and what is drawn is not what was meant",
            f"give a smaller q, or write distribution: {kind[2:]}",
            tuple(edits),
        )


def orders_of_magnitude_drawn_linearly(subject: Subject) -> Iterator[Finding]:
    """A uniform draw over decades hardly ever sees the small ones."""
    for parameter, distribution in subject.valid_parameters():
        if not isinstance(distribution, Uniform) or distribution.distribution != "uniform":
            continue
        low, high = distribution.min, distribution.max
        if low <= 0 or high / low < _WIDE_RATIO:
            continue
        kind = parameter.settings.get("distribution")
        new = "log_uniform_values"
        yield Finding(
            "warning",
            parameter.entry.line,
            f"{parameter.name}: {as_yaml(low)} to {as_yaml(high)} is drawn uniformly",
            f"nine of ten draws lie above {(low + (high - low) / 10):.2g}; the smaller orders of "
            "magnitude are hardly tried",
            f"write distribution: {new}",
            (
                subject.document.replace(kind.node, new)
                if kind
                else subject.document.insert_after(
                    parameter.settings["max"], f"distribution: {new}"
                ),
            ),
        )


def whole_numbers_for_a_real_range(subject: Subject) -> Iterator[Finding]:
    """`min: 0, max: 1` without a dot is the choice between 0 and 1."""
    for parameter, distribution in subject.valid_parameters():
        if not isinstance(distribution, IntUniform) or "distribution" in parameter.settings:
            continue
        if not _is_real(subject, parameter):
            continue
        document, settings = subject.document, parameter.settings
        more = " and so on" if distribution.max > distribution.min + 1 else ""
        yield Finding(
            "warning",
            settings["min"].line,
            f"{parameter.name}: min {distribution.min} and max {distribution.max} are whole "
            "numbers, so that only whole numbers are drawn",
            f"the values are {distribution.min} and {distribution.min + 1}{more}, and nothing "
            "between them",
            f"write min: {distribution.min}.0 and max: {distribution.max}.0",
            tuple(
                document.replace(settings[name].node, f"{parameter.number(name)}.0")
                for name in ("min", "max")
            ),
        )


def _is_real(subject: Subject, parameter: Parameter) -> bool:
    if subject.has_configuration:
        return isinstance(config_value(subject.config, parameter.name), float)
    return parameter.number("min") == 0 and parameter.number("max") == 1


def falsy_value_behind_others(subject: Subject) -> Iterator[Finding]:
    """W&B's bayes takes 0, false, null and "" for the first of the values."""
    if subject.method != "bayes":
        return
    for parameter, distribution in subject.valid_parameters():
        if not isinstance(distribution, Categorical) or is_constant(distribution):
            continue
        falsy = [i for i, value in enumerate(distribution.values) if not value]
        behind = [i for i in falsy if i > 0]
        if not behind:
            continue
        entry = parameter.settings["values"]
        moved = entry.items[behind[0]]
        can_move = 0 not in falsy and "probabilities" not in parameter.settings
        first = distribution.values[0]
        yield Finding(
            "warning" if can_move else "note",
            moved.start_mark.line + 1,
            f"{parameter.name}: {distribution.values[behind[0]]!r} is not the first of `values`",
            f"W&B's bayes engine counts what it gave for {first!r}, the first, and learns a false "
            "score; detsweep's does not",
            "put it first in `values`" if can_move else "run this with detsweep's own search",
            _swapped(subject, parameter, behind[0]) if can_move else (),
        )


def _swapped(subject: Subject, parameter: Parameter, number: int) -> tuple[Edit, ...]:
    document = subject.document
    first, other = (parameter.settings["values"].items[i] for i in (0, number))
    texts = [document.text[n.start_mark.index : n.end_mark.index] for n in (first, other)]
    return document.replace(first, texts[1]), document.replace(other, texts[0])


def grid_beyond_run_cap(subject: Subject) -> Iterator[Finding]:
    """A grid that is cut off before its end."""
    cap = subject.document.get("run_cap")
    if subject.spec is None or subject.method != "grid" or cap is None:
        return
    size = grid_size(subject.spec.parameters)
    if isinstance(cap.value, int) and size > cap.value:
        method = subject.document.get("method")
        yield Finding(
            "warning",
            cap.line,
            f"the grid has {size} points, and run_cap ends it after {cap.value}",
            "the first parameter never gets to its last values",
            "write method: random, which covers the whole space with as many trials",
            (subject.document.replace(method.node, "random"),) if method else (),
        )


def more_agents_than_trials(subject: Subject) -> Iterator[Finding]:
    """Agents that have nothing to do, or a search that learns nothing."""
    if subject.spec is None or subject.agents is None or subject.spec.trial_limit is None:
        return
    limit = subject.spec.trial_limit
    line = subject.line("run_cap") if subject.document.get("run_cap") else subject.line("method")
    if subject.agents > limit:
        yield Finding(
            "warning",
            line,
            f"{counted(subject.agents, 'agent')} for {counted(limit, 'trial')}",
            f"{subject.agents - limit} of them hold a GPU and get no trial",
            f"start {counted(limit, 'agent')} at most, or raise run_cap",
        )
    elif subject.method == "bayes" and 2 * subject.agents > limit:
        yield Finding(
            "note",
            line,
            f"{counted(subject.agents, 'agent')} for {counted(limit, 'trial')} of a bayes search",
            "most trials begin before any has ended, so that the search is hardly better than "
            "random",
            "start fewer agents, or raise run_cap",
        )


def _digits(value: float) -> float:
    return float(f"{value:.4g}") if math.isfinite(value) else value


RULES = (
    range_reversed_or_empty,
    exponents_that_look_like_limits,
    value_repeated,
    single_value_as_a_choice,
    nothing_varies,
    quantised_to_little,
    orders_of_magnitude_drawn_linearly,
    whole_numbers_for_a_real_range,
    falsy_value_behind_others,
    grid_beyond_run_cap,
    more_agents_than_trials,
)
