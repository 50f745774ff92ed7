"""What CLEval counted on each page, by the page's name: scores that can be compared in pairs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from detector.data.page import Page
from detector.errors import DataError
from detector.evaluation.cleval.counts import CLEvalCounts, DatasetScore

PAGES = "pages.json"
"""The file's name beside a training's metrics.jsonl."""


@dataclass(frozen=True)
class PageScores:
    """A detector's counts on some pages.

    Attributes:
        counts: by the page's name.
        groups: the group of each page, which stand or fall together; a page without one is absent.
    """

    counts: Mapping[str, CLEvalCounts]
    groups: Mapping[str, str]

    @classmethod
    def of(cls, pages: Sequence[Page], score: DatasetScore) -> "PageScores":
        """The counts of `score`, which has them in the order of `pages`."""
        names = [page.name for page in pages]
        return cls(
            dict(zip(names, score.pages, strict=True)),
            {page.name: page.group for page in pages if page.group is not None},
        )

    @property
    def together(self) -> DatasetScore:
        """The score over all pages."""
        return DatasetScore(tuple(self.counts.values()))

    @property
    def total(self) -> CLEvalCounts:
        """The pages' counts, summed."""
        return self.together.counts

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def group_count(self) -> int:
        """How many groups there are, a page without one being its own."""
        return int(self.clusters(list(self.counts)).max(initial=-1)) + 1

    def __or__(self, other: "PageScores") -> "PageScores":
        """Both sets of pages as one; `other` counts where a page is in both."""
        return PageScores({**self.counts, **other.counts}, {**self.groups, **other.groups})

    def only(self, names: Sequence[str]) -> "PageScores":
        """The counts of the pages in `names` alone."""
        kept = {name: self.counts[name] for name in names}
        return PageScores(kept, {n: group for n, group in self.groups.items() if n in kept})

    def clusters(self, names: Sequence[str]) -> NDArray[np.int64]:
        """(N,) the number of each page's group, from 0; a page without a group is its own."""
        keys = [("group", self.groups[n]) if n in self.groups else ("page", n) for n in names]
        number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        return np.array([number[key] for key in keys], dtype=np.int64)

    def halves(self) -> tuple[list[str], list[str]]:
        """The pages' names in two lists, no group in both, the same whenever they are drawn."""
        groups: dict[str, list[str]] = {}
        for name in self.counts:
            groups.setdefault(self.groups.get(name, name), []).append(name)
        drawn = sorted(groups, key=lambda group: hashlib.sha256(group.encode()).hexdigest())
        one, other = drawn[::2], drawn[1::2]
        return [n for g in one for n in groups[g]], [n for g in other for n in groups[g]]


@dataclass(frozen=True)
class KeptEpoch:
    """The epoch whose weights a training keeps, and what these count on the validation pages."""

    epoch: int
    pages: PageScores

    @property
    def hmean(self) -> float:
        """Over all pages together."""
        return self.pages.total.hmean

    def to_json(self) -> str:
        """What `from_json` reads."""
        scores = self.pages
        rows = [
            {"page": name, "group": scores.groups.get(name), **asdict(counts)}
            for name, counts in scores.counts.items()
        ]
        return json.dumps({"epoch": self.epoch, "pages": rows}, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str = PAGES) -> "KeptEpoch":
        """Read what `to_json` wrote.

        Raises:
            DataError: the text is something else.
        """
        try:
            tree = json.loads(text)
            rows = tree["pages"]
            groups = {row["page"]: row["group"] for row in rows if row["group"] is not None}
            fields = [{k: v for k, v in row.items() if k not in ("page", "group")} for row in rows]
            counts = {
                row["page"]: CLEvalCounts(**field) for row, field in zip(rows, fields, strict=True)
            }
            return cls(int(tree["epoch"]), PageScores(counts, groups))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(
                f"not the counts of pages: {error!r}",
                where=where,
                remedy="delete this training's folder to train it again",
            ) from error
