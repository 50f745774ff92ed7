"""What can be wrong with a data set: the entries of a check's report. Finding them is elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from detector.errors import DataError
from detector.names import readable
from detector.wording import counted

Level = Literal["error", "skip", "warning"]

_SHOWN = 5


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or worth knowing.

    Attributes:
        level: "error" keeps the data set from being used until it is mended; "skip" says that
            something is left out though nothing is damaged, such as an image that nobody
            labelled; "warning" says that the data is used as it is.
        file: path below the data set's root.
        line: line number of an annotation file, or image and id of the word in a words JSON.
        reason: what is wrong, with the value that was found.
        box: which box of its page it is of, from 0 on, where it is of one.
        remedy: what to do, where that is more than to mend the file or to leave it out.
    """

    level: Level
    file: str
    reason: str
    line: int | str | None = None
    box: int | None = None
    remedy: str | None = None

    def __post_init__(self) -> None:
        for name in ("file", "reason"):
            object.__setattr__(self, name, readable(getattr(self, name)))

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.reason}"


def refuse_errors(problems: Sequence[Problem], where: str) -> None:
    """Do nothing if there is no error among the problems.

    Raises:
        DataError: there are errors; the first few are named.
    """
    errors = [problem for problem in problems if problem.level == "error"]
    if not errors:
        return
    listed = [f"\n    {problem}" for problem in errors[:_SHOWN]]
    more = f"\n    and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    own = {problem.remedy for problem in errors}
    usual = (
        "`detsweep data check` lists all; mend the files, or leave them out with "
        "`detsweep data convert --drop-bad`"
    )
    raise DataError(
        f"the data set has {counted(len(errors), 'error')}:" + "".join(listed) + more,
        where=where,
        remedy=(own.pop() if len(own) == 1 else None) or usual,
    )
