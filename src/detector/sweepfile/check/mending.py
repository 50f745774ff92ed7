"""The mended form of a sweep file: one finding after the other, and each change by name.

What is announced is not what a rule meant to do, but what its edits did to the parsed file. An edit
that would make a file worse is not made.
"""

import difflib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from detector.config.schema import Config
from detector.errors import SweepError
from detector.sweepfile.check import RULES, check_sweep
from detector.sweepfile.check.document import Document, Parameter, plain_value
from detector.sweepfile.check.finding import Finding, apply_edits
from detector.sweepfile.check.subject import is_constant
from detector.sweepfile.spec import parse_sweep

Path = tuple[str, ...]
"""Keys from the root to a value. A parameter is one key below `parameters`, by its whole name."""

_PARAMETERS = "parameters"
_ORDER = {rule.__name__: number for number, rule in enumerate(RULES)}

_ROUNDS = 100
"""One finding is mended a round, since that may change all others; no file needs so many."""


class _Absent:
    """Stands for a value that is not there; null is a value."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True)
class Change:
    """A value of the file that is another one afterwards, as W&B reads both.

    Attributes:
        path: see `Path`.
        before, after: plain values; `ABSENT` where there is none.
    """

    path: Path
    before: object
    after: object

    @property
    def place(self) -> str:
        """As a person writes the path; a parameter by its name alone."""
        is_parameter = self.path[0] == _PARAMETERS and len(self.path) > 1
        return ".".join(self.path[1:] if is_parameter else self.path)

    def __str__(self) -> str:
        if self.before is ABSENT:
            return f"{self.place}: {_shown(self.after)} is added"
        if self.after is ABSENT:
            return f"{self.place}: {_shown(self.before)} is taken out"
        return f"{self.place}: {_shown(self.before)} becomes {_shown(self.after)}"

    def to_dict(self) -> dict[str, object]:
        """As JSON has it: `before` or `after` is left out where there is no value."""
        sides = {"before": self.before, "after": self.after}
        there = {name: value for name, value in sides.items() if value is not ABSENT}
        return {"path": list(self.path), **there}


@dataclass(frozen=True)
class Step:
    """One finding that is mended.

    Attributes:
        finding: with its line in the file before any step.
        changes: everything that other values stand for now.
        lost: a sentence for each parameter that is not searched any more.
    """

    finding: Finding
    changes: tuple[Change, ...]
    lost: tuple[str, ...]

    def announced(self) -> list[str]:
        """What the step does, in lines for a person."""
        renamed = _renamed(self.changes)
        names = {change.path for pair in renamed for change in pair}
        said = [f"{old.place} is renamed to {new.place}" for old, new in renamed]
        said += [str(change) for change in self.changes if change.path not in names]
        # A key that stands twice: the parsed file is the same, and the text is not.
        return [*(said or [self.finding.fix]), *self.lost]


@dataclass(frozen=True)
class Mending:
    """A sweep file's text, and its mended form.

    Attributes:
        before, text: without and with the steps.
        steps: in the order in which they were made.
        refused: findings that are not mended, since that would make the file worse, and how.
    """

    before: str
    text: str
    steps: tuple[Step, ...]
    refused: tuple[tuple[Finding, str], ...]

    def diff(self, name: str) -> list[str]:
        """The lines of a unified diff, without line ends; none where nothing changes."""
        lines = (self.before.splitlines(), self.text.splitlines())
        return list(difflib.unified_diff(*lines, name, f"{name} (mended)", lineterm=""))


def mend(
    text: str, where: str, configs: Sequence[Config] = (), agents: int | None = None
) -> Mending:
    """The file with every error and warning mended that has a mechanical fix.

    Comments, order and everything else stay as they are. Mended again, the result is the same. Args
    as for `check_sweep`.
    """

    def check(current: str) -> list[Finding]:
        return check_sweep(current, where, configs, agents)

    undone: dict[_Key, Finding] = {}
    while True:
        work = _Work(text, check, where, undone)
        circle = work.run()
        if not circle:
            return Mending(text, work.text, tuple(work.steps), tuple(work.refused))
        # Rules that undo each other: neither is right, and a person has to decide.
        undone |= {_key(finding): finding for finding in circle}


_Key = tuple[str, str]


def _key(finding: Finding) -> _Key:
    return finding.rule, finding.problem


class _Work:
    """A file while it is mended.

    Args:
        undone: findings whose fixes undo each other, which are left alone.
    """

    def __init__(
        self,
        text: str,
        check: Callable[[str], list[Finding]],
        where: str,
        undone: Mapping[_Key, Finding],
    ):
        self.text, self.steps = text, list[Step]()
        self.refused = list[tuple[Finding, str]]()
        self._check, self._where, self._undone = check, where, undone
        self._seen = [text]

    def run(self) -> list[Finding]:
        """Make every step; where they lead in a circle, the findings of the circle."""
        for _ in range(_ROUNDS):
            made = self._next()
            if made is None:
                return []
            if made in self._seen:
                circle = self.steps[self._seen.index(made) :]
                return [step.finding for step in circle]
            self._seen.append(made)
            self.text = made
        return []

    def _next(self) -> str | None:
        """The text after one more step; None where there is none left."""
        # What is refused now may be right once more is mended.
        self.refused = [(finding, "another fix would undo it") for finding in self._undone.values()]
        found = self._check(self.text)
        # In the order of the rules: a misspelt key is mended before what it left out is added.
        for finding in sorted(found, key=lambda found: _ORDER.get(found.rule, 0)):
            if finding.level == "note" or not finding.edits or _key(finding) in self._undone:
                continue
            line = _line_before(self._seen[0], self.text, finding.line)
            in_the_file = replace(finding, line=line)
            new = apply_edits(self.text, finding.edits)
            harm = self._harm(finding, found, new)
            if harm is None:
                self.steps.append(_step(in_the_file, Document(self.text), Document(new)))
                return new
            self.refused.append((in_the_file, harm))
        return None

    def _harm(self, finding: Finding, found: Sequence[Finding], new: str) -> str | None:
        """What the fix of a finding makes worse; None where it makes nothing worse."""
        if new == self.text:
            return "it would change nothing"
        if any(edit.start > edit.end for edit in finding.edits):
            return "the value stands in another place, as an anchor"
        try:
            after = Document(new)
        except (yaml.YAMLError, ValueError, SweepError):
            return "the file would be no YAML any more"
        harm = _harm_to_values(Document(self.text), after)
        if harm is None and _reason_invalid(self.text, self._where) is None:
            harm = _reason_invalid(new, self._where)
        if harm is None and finding.level == "warning":
            harm = _new_error(found, self._check(new))
        return harm


def _harm_to_values(before: Document, after: Document) -> str | None:
    sections = {_section(change.path) for change in _changes(before, after)}
    if before.has_aliases and len(sections) > 1:
        return "the value stands in several places, and all of them would change"
    spoilt = _readable(before) & {p.name for p in after.parameters if p.distribution is None}
    return f"{min(spoilt)} would not be valid any more" if spoilt else None


def _new_error(found: Sequence[Finding], found_after: Sequence[Finding]) -> str | None:
    """An error that a warning's fix would bring. That of an error may bring others to light."""
    known = {finding.rule for finding in found if finding.level == "error"}
    new = (f for f in found_after if f.level == "error" and f.rule not in known)
    return next((f"it would be an error: {finding.problem}" for finding in new), None)


def _section(path: Path) -> Path:
    return path[:2] if path[0] == _PARAMETERS else path[:1]


def _reason_invalid(text: str, where: str) -> str | None:
    try:
        parse_sweep(text, where)
    except SweepError as error:
        return error.problem
    return None


def _readable(document: Document) -> set[str]:
    return {p.name for p in document.parameters if p.distribution is not None}


def _step(finding: Finding, before: Document, after: Document) -> Step:
    changes = _changes(before, after)
    return Step(finding, changes, tuple(_lost(before, after, changes)))


def _changes(before: Document, after: Document) -> tuple[Change, ...]:
    old, new = dict(_values(before)), dict(_values(after))
    paths = [*old, *(path for path in new if path not in old)]
    changes = (Change(path, old.get(path, ABSENT), new.get(path, ABSENT)) for path in paths)
    return tuple(change for change in changes if not _same(change.before, change.after))


def _values(document: Document) -> Iterator[tuple[Path, object]]:
    """Everything that the file says, by its path: a parameter whole, all else by its last key."""
    sections = plain_value(document.root)
    assert isinstance(sections, dict)
    for name, section in sections.items():
        if name != _PARAMETERS:
            yield from _leaves(section, (name,))
    for parameter in document.parameters:
        yield (_PARAMETERS, parameter.name), plain_value(parameter.entry.node)


def _leaves(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    if not isinstance(value, dict) or not value:
        yield path, value
        return
    for key, below in value.items():
        yield from _leaves(below, (*path, key))


def _same(one: object, other: object) -> bool:
    """Whether YAML values are equal, and of one type: 1, 1.0 and true are three values."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return _as_json(one) == _as_json(other)


def _as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _renamed(changes: Sequence[Change]) -> list[tuple[Change, Change]]:
    """The pairs of a value that is gone and the same one under another name."""
    gone = [change for change in changes if change.after is ABSENT]
    come = [change for change in changes if change.before is ABSENT]
    if len(gone) != 1 or len(come) != 1 or not _same(gone[0].before, come[0].after):
        return []
    return [(gone[0], come[0])]


def _lost(before: Document, after: Document, changes: Sequence[Change]) -> Iterator[str]:
    """A sentence for each parameter that took more than one value and does so no more."""
    renamed = {old.path[-1] for old, _ in _renamed(changes)}
    left = Counter(parameter.name for parameter in after.parameters if _is_searched(parameter))
    constants = {parameter.name: parameter for parameter in after.parameters}
    for parameter in before.parameters:
        if not _is_searched(parameter) or parameter.name in renamed:
            continue
        if left[parameter.name]:
            left[parameter.name] -= 1
            continue
        kept = constants.get(parameter.name)
        what = f"is {_shown(plain_value(kept.entry.node))} now" if kept else "is taken out"
        yield f"the search space loses {parameter.name}, which {what}"


def _is_searched(parameter: Parameter) -> bool:
    """Whether it is meant to take more than one value; what cannot be read may be."""
    return parameter.distribution is None or not is_constant(parameter.distribution)


def _line_before(original: str, text: str, line: int) -> int:
    """The line of the original that a line of a text which came of it was, or stands behind."""
    matcher = difflib.SequenceMatcher(
        None, original.splitlines(), text.splitlines(), autojunk=False
    )
    for _, start, end, new_start, new_end in matcher.get_opcodes():
        if new_start < line <= new_end:
            return max(1, min(start + line - new_start, end))
    return line


def _shown(value: object) -> str:
    """A value as one line of YAML."""
    line = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=sys.maxsize)
    return line.removesuffix("...\n").strip()
