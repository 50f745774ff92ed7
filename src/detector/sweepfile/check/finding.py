"""What a check says: findings, and the edits that would mend them. Plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
"""An error: the sweep cannot run, or cannot find anything. A warning: it runs and wastes time, or
W&B reads the file otherwise. A note: worth knowing, nothing to mend."""

LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True, order=True)
class Edit:
    """Replace the characters from `start` to before `end` by `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Finding:
    """Something in a sweep file that is wrong, wastes time, or should be known.

    Attributes:
        line: of the file, from 1.
        problem: what is the matter, with the values that were found.
        cost: why that wastes time.
        fix: what to do about it.
        edits: the fix as changes of the text; none where only a person can decide.
        rule: the name of the rule that found it.
    """

    level: Level
    line: int
    problem: str
    cost: str
    fix: str
    edits: tuple[Edit, ...] = ()
    rule: str = ""


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """The text after the edits. Of two that overlap, the first in the sequence is made."""
    chosen: list[Edit] = []
    for edit in edits:
        if edit not in chosen and not any(_overlap(edit, other) for other in chosen):
            chosen.append(edit)
    for edit in sorted(chosen, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _overlap(a: Edit, b: Edit) -> bool:
    if a.start == a.end == b.start == b.end:
        return False
    return a.start < b.end and b.start < a.end
