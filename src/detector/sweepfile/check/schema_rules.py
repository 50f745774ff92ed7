"""Rules about the file itself: what YAML makes of it, and what its keys should have been."""

import difflib
import re
from collections.abc import Iterator

import yaml

from detector.config.metrics import METRIC
from detector.search.hyperband import Hyperband
from detector.sweepfile.check.document import Entry, Parameter, entries, whole_entries
from detector.sweepfile.check.finding import Edit, Finding
from detector.sweepfile.check.numbers import with_dot
from detector.sweepfile.check.subject import Subject, is_number
from detector.sweepfile.space import FAMILIES
from detector.sweepfile.spec import (
    DOTLESS_TAG,
    EarlyTerminateSpec,
    MetricSpec,
    OwnSpec,
    SweepSpec,
    keys_of,
)

_TEXT_TAG = "tag:yaml.org,2002:str"
_NUMERIC = ("min", "max", "mu", "sigma", "q", "a", "b")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_GOALS = {"max": "maximize", "maximise": "maximize", "min": "minimize", "minimise": "minimize"}


def number_that_yaml_reads_as_text(subject: Subject) -> Iterator[Finding]:
    """YAML 1.1 asks for a dot and a signed exponent: 1e-5 is text to it."""
    for node in subject.document.scalars():
        if node.tag == DOTLESS_TAG:
            dotted = with_dot(node.value)
            yield Finding(
                "warning",
                node.start_mark.line + 1,
                f"{node.value} is text in YAML 1.1, not a number",
                "detsweep reads it as the number, but `wandb sweep` refuses it in a range, and as "
                "one of `values` hands the text to every run",
                f"write {dotted}",
                (subject.document.replace(node, dotted),),
            )


def number_in_quotes(subject: Subject) -> Iterator[Finding]:
    """A limit that is text."""
    for parameter in subject.parameters:
        for name in _NUMERIC:
            entry = parameter.settings.get(name)
            if entry is None or not isinstance(entry.node, yaml.ScalarNode):
                continue
            text = entry.node.value
            if entry.node.tag == _TEXT_TAG and _NUMBER.fullmatch(text):
                plain = text if "." in text or "e" not in text.lower() else with_dot(text)
                yield Finding(
                    "error",
                    entry.line,
                    f"{parameter.name}: {name} is the text {text!r}",
                    "a distribution needs numbers",
                    f"write {plain} without quotes",
                    (subject.document.replace(entry.node, plain),),
                )


def key_that_stands_twice(subject: Subject) -> Iterator[Finding]:
    """YAML takes the last of them without a word."""
    for mapping in subject.document.mappings():
        found = entries(mapping)
        for number, entry in enumerate(found):
            later = next((e for e in found[number + 1 :] if e.name == entry.name), None)
            if later is not None:
                yield Finding(
                    "error",
                    entry.line,
                    f"{entry.name!r} stands here and again in line {later.line}",
                    "W&B takes the last and forgets this one without a word",
                    f"keep one: --fix takes line {entry.line} out and keeps line {later.line}",
                    (subject.document.remove(entry),),
                )


def unknown_key(subject: Subject) -> Iterator[Finding]:
    """A misspelt key of the file or of one of its sections."""
    sections = (
        (None, SweepSpec),
        ("metric", MetricSpec),
        ("early_terminate", EarlyTerminateSpec),
        ("detsweep", OwnSpec),
    )
    for section, model in sections:
        entry = subject.document.get(section) if section else None
        owner = entry.node if entry else None if section else subject.document.root
        if owner is not None:
            extra = ["metrics", "scheduler"] if section is None else []
            for found in whole_entries(owner):
                yield from _unknown(subject, found, [*keys_of(model), *extra])
    for parameter in subject.parameters:
        yield from _unknown_settings(subject, parameter)


def _unknown_settings(subject: Subject, parameter: Parameter) -> Iterator[Finding]:
    kind = parameter.settings.get("distribution")
    family = FAMILIES.get(str(kind.value)) if kind else None
    if family is not None:
        known = keys_of(family)
    else:
        known = ["distribution", "value", "values", "probabilities", "min", "max", "parameters"]
        known += ["mu", "sigma", "q", "a", "b"]
    for found in parameter.settings.values():
        yield from _unknown(subject, found, known)


def _unknown(subject: Subject, entry: Entry, known: list[str]) -> Iterator[Finding]:
    if entry.name in known:
        return
    near = difflib.get_close_matches(entry.name, known, n=1)
    taken = {other.name for other in entries(entry.owner)}
    rename = near and near[0] not in taken
    yield Finding(
        "error",
        entry.line,
        f"there is no key {entry.name!r} here",
        "W&B refuses the file, or reads it without what this key should have done",
        f"write {near[0]!r}" if near else f"take it out; allowed are {', '.join(known)}",
        (subject.document.replace(entry.key, near[0]),) if rename else (),
    )


def unknown_distribution(subject: Subject) -> Iterator[Finding]:
    """A misspelt distribution."""
    for parameter in subject.parameters:
        entry = parameter.settings.get("distribution")
        if entry is not None and str(entry.value) not in FAMILIES:
            near = difflib.get_close_matches(str(entry.value), FAMILIES, n=1)
            yield Finding(
                "error",
                entry.line,
                f"{parameter.name}: there is no distribution {entry.value!r}",
                "the sweep cannot start",
                f"write {near[0]}" if near else f"choose one of {', '.join(sorted(FAMILIES))}",
                (subject.document.replace(entry.node, near[0]),) if near else (),
            )


def goal_that_is_no_goal(subject: Subject) -> Iterator[Finding]:
    """W&B falls back to minimize where it does not know the goal."""
    entry = subject.document.get("metric", "goal")
    if entry is None or entry.value in ("minimize", "maximize"):
        return
    near = _GOALS.get(str(entry.value).lower()) or next(
        iter(difflib.get_close_matches(str(entry.value), ("minimize", "maximize"), n=1)), None
    )
    yield Finding(
        "error",
        entry.line,
        f"there is no goal {entry.value!r}",
        "W&B's engine takes minimize for every goal that it does not know",
        f"write {near or 'minimize or maximize'}",
        (subject.document.replace(entry.node, near),) if near else (),
    )


def max_iter_without_s(subject: Subject) -> Iterator[Finding]:
    """The form that counts bands downward needs their number."""
    max_iter = subject.document.get("early_terminate", "max_iter")
    if max_iter is None or subject.document.get("early_terminate", "s") is not None:
        return
    if subject.document.get("early_terminate", "min_iter") is not None:
        yield Finding(
            "error",
            max_iter.line,
            "max_iter stands beside min_iter, without s",
            "W&B accepts the file and then fails at the first check (KeyError 's'): nothing stops",
            "take max_iter out; min_iter decides",
            (subject.document.remove(max_iter),),
        )
        return
    value = max_iter.value
    eta = subject.document.value("early_terminate", "eta")
    bands = 0
    if isinstance(value, int) and value >= 1:
        most = Hyperband(max_iter=value, s=99, eta=eta if is_number(eta) and eta > 1 else 3)
        bands = len(most.bands())
    yield Finding(
        "error",
        max_iter.line,
        f"max_iter {value} has no s",
        "max_iter counts bands downward, and s says how many",
        f"add `s: {bands}`" if bands else "give min_iter instead",
        (subject.document.insert_after(max_iter, f"s: {bands}"),) if bands else (),
    )


def min_iter_that_max_iter_overrides(subject: Subject) -> Iterator[Finding]:
    """Of the two forms, max_iter with s wins."""
    min_iter = subject.document.get("early_terminate", "min_iter")
    if min_iter is None or subject.document.get("early_terminate", "max_iter") is None:
        return
    if subject.document.get("early_terminate", "s") is None:
        return
    rule = subject.hyperband
    bands = f" (bands {rule.bands()})" if rule else ""
    yield Finding(
        "warning",
        min_iter.line,
        f"min_iter has no effect: max_iter and s win{bands}",
        "the first band is not where the file says",
        "take min_iter out, as --fix does, or max_iter and s",
        (subject.document.remove(min_iter),),
    )


def s_without_max_iter(subject: Subject) -> Iterator[Finding]:
    """`s` belongs to the form that counts bands downward."""
    s = subject.document.get("early_terminate", "s")
    if s is None or subject.document.get("early_terminate", "max_iter") is not None:
        return
    if subject.document.get("early_terminate", "min_iter") is not None:
        yield Finding(
            "note",
            s.line,
            f"s {s.value} has no effect without max_iter",
            "min_iter has as many bands as the epochs hold, not s of them",
            "take s out, or give max_iter in the place of min_iter",
        )


def metric_missing(subject: Subject) -> Iterator[Finding]:
    """What the search goes by."""
    if subject.document.get("metric") is not None or not subject.trains_detector:
        return
    if subject.method != "bayes" and subject.document.get("early_terminate") is None:
        return
    method = subject.document.get("method")
    edits: tuple[Edit, ...] = ()
    if method is not None:
        line = f"metric: {{name: {METRIC}, goal: maximize}}"
        edits = (subject.document.insert_after(method, line),)
    yield Finding(
        "error",
        subject.line("method"),
        "there is no metric",
        "bayes and early_terminate have nothing to go by",
        f"add `metric: {{name: {METRIC}, goal: maximize}}`",
        edits,
    )


def run_cap_missing(subject: Subject) -> Iterator[Finding]:
    """bayes and random draw for ever."""
    method = subject.document.get("method")
    if subject.method not in ("bayes", "random") or method is None:
        return
    if subject.document.get("run_cap") is not None:
        return
    count = max(20, 10 * len(subject.varying()), 3 * (subject.agents or 0))
    yield Finding(
        "warning",
        method.line,
        f"{subject.method} without run_cap never ends",
        "the agents go on drawing trials, and cost, until somebody stops them",
        f"add `run_cap: {count}`, or another count that you can afford",
        (subject.document.insert_after(method, f"run_cap: {count}"),),
    )


RULES = (
    number_that_yaml_reads_as_text,
    number_in_quotes,
    key_that_stands_twice,
    unknown_key,
    unknown_distribution,
    goal_that_is_no_goal,
    max_iter_without_s,
    min_iter_that_max_iter_overrides,
    s_without_max_iter,
    metric_missing,
    run_cap_missing,
)
