"""Finds what would waste GPU time in a sweep file before any is spent; `mending` mends it.

Each rule is one function that yields findings; `RULES` is all of them. What makes a file invalid
stands in `spec`: whatever that refuses is a finding too, by a rule of its own or as "not_valid".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import yaml

from detector.config.loading import load_config
from detector.config.schema import Config
from detector.errors import SweepError
from detector.sweepfile.check import (
    program_rules,
    schedule_rules,
    schema_rules,
    space_rules,
    training_rules,
)
from detector.sweepfile.check.document import Document
from detector.sweepfile.check.finding import LEVELS, Finding, Level
from detector.sweepfile.check.subject import Subject
from detector.sweepfile.spec import SweepSpec, parse_sweep

__all__ = [
    "LEVELS",
    "RULES",
    "Finding",
    "Level",
    "check_sweep",
    "configs_of",
    "refuse_errors",
]

Rule = Callable[[Subject], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    *schema_rules.RULES,
    *space_rules.RULES,
    *schedule_rules.RULES,
    *training_rules.RULES,
    *program_rules.RULES,
)


def check_sweep(
    text: str, where: str, configs: Sequence[Config] = (), agents: int | None = None
) -> list[Finding]:
    """What is wrong with a sweep file, by line.

    Args:
        text: the file's content.
        where: its name.
        configs: the configuration that the trials start from, and after it others that are known to
            be good; see `configs_of`. Without them, what detsweep has by default.
        agents: how many agents are going to work on it.
    """
    try:
        document = Document(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        return [_not_valid(mark.line + 1 if mark else 1, str(error), "mend it")]
    except (yaml.YAMLError, ValueError, SweepError) as error:
        return [_not_valid(1, str(error), "write the file as for `wandb sweep`")]
    spec, refusal = _read(text, where)
    known = list(configs) or [Config()]
    subject = Subject(document, spec, known[0], known, agents)
    found = [replace(finding, rule=rule.__name__) for rule in RULES for finding in rule(subject)]
    if refusal is not None:
        found += _unexplained(refusal, document, where, found)
    return sorted(found, key=lambda finding: (finding.line, LEVELS.index(finding.level)))


def configs_of(words: Sequence[str]) -> list[Config]:
    """The configuration that overrides make, and that of their preset alone: both are incumbents.

    Raises:
        ConfigError: as for `load_config`.
    """
    return [load_config(words), load_config([word for word in words if word.startswith("preset=")])]


def refuse_errors(findings: Sequence[Finding], where: str) -> None:
    """Raise the errors among findings as one.

    Raises:
        SweepError: there is one.
    """
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
        raise SweepError(
            f"{first.problem}{more}",
            where=f"{where}, line {first.line}",
            remedy=f"{first.fix}; `detsweep sweep check` shows all, and --fix mends what it can",
        )


def _read(text: str, where: str) -> tuple[SweepSpec | None, SweepError | None]:
    try:
        return parse_sweep(text, where), None
    except SweepError as error:
        return None, error


def _unexplained(
    refusal: SweepError, document: Document, where: str, found: Sequence[Finding]
) -> list[Finding]:
    """The reason why the file is not valid, unless a rule has said more about it."""
    place = (refusal.where or "").removeprefix(where).lstrip(": ")
    line = document.line_of(place)
    errors = {finding.line for finding in found if finding.level == "error"}
    # An error of a whole section may come of any line in it.
    if line in errors or (errors and line <= min(errors)):
        return []
    shown = f"{place}: {refusal.problem}" if place else refusal.problem
    return [_not_valid(line, shown, refusal.remedy or "mend it")]


def _not_valid(line: int, problem: str, fix: str) -> Finding:
    return Finding("error", line, problem, "the sweep cannot start", fix, rule="not_valid")
