"""The full check of a data set: every image is decoded and every box looked at, before any of it is
trained on or scored. Nothing is mended here; `detector.data.convert` writes clean copies."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from detector.data.alike import (
    LEAK_REMEDY,
    Alike,
    Look,
    alike_by_name,
    leak_in_words,
    leaks,
    look_of,
)
from detector.data.data_set import AS_FOUND, DataSet, LabelledImage, Reading
from detector.data.fit import likely_misfits, no_text_at_all, odd_outlines
from detector.data.images import MAX_PIXELS, decode_image, read_bytes
from detector.data.page import Page
from detector.data.problem import Level, Problem
from detector.errors import DataError

__all__ = ["CheckReport", "Problem", "check_data"]

_UNKNOWN_SIZE = (float("inf"), float("inf"))


@dataclass(frozen=True)
class FlawedPage:
    """A page, with all boxes that could be read, and what is wrong with it or worth knowing."""

    page: Page
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        problems: everything, by file.
        pages: those without an error, by name; each has all its boxes.
        kept: the pages again, and those whose boxes alone have errors, with the bad ones made don't
            care or taken away.
        dropped_boxes: how many these are.
        group_column: the column of index.csv that groups pages, if any.
        labels: the formats that were recognised, in words.
        alike: the names of pages that show the same picture, two by two.
        flawed: pages that have problems of their own, those with errors first.
    """

    problems: tuple[Problem, ...]
    pages: tuple[Page, ...]
    kept: tuple[Page, ...]
    dropped_boxes: int
    group_column: str | None
    labels: str
    alike: tuple[tuple[str, str], ...] = ()
    flawed: tuple[FlawedPage, ...] = ()

    def of_level(self, level: Level) -> list[Problem]:
        """The problems of one level, in their order."""
        return [problem for problem in self.problems if problem.level == level]

    def facts(self) -> dict[str, int | str | None]:
        """`counts`, and what makes groups."""
        return {**self.counts(), "group_column": self.group_column, "labels": self.labels}

    def counts(self) -> dict[str, int]:
        """The counts a person wants to see: of pages that can be used, and of problems."""
        boxes = [box for page in self.pages for box in page.boxes]
        groups = {page.group for page in self.pages if page.group is not None}
        return {
            "pages": len(self.pages),
            "held_out_pages": sum(page.held_out for page in self.pages),
            "boxes": len(boxes),
            "ignored_boxes": sum(box.ignore for box in boxes),
            "groups": len(groups),
            "errors": len(self.of_level("error")),
            "skipped": len(self.of_level("skip")),
            "warnings": len(self.of_level("warning")),
        }

    def to_json(self) -> str:
        """The facts and all problems, for other programs."""
        tree = {**self.facts(), "problems": [asdict(problem) for problem in self.problems]}
        return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def check_data(
    root: Path,
    *,
    max_pixels: int = MAX_PIXELS,
    reading: Reading = AS_FOUND,
    allow_duplicates: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Look at every image and every box of a data set.

    Args:
        root: a folder in one of the layouts of `detector.data.formats.layout`.
        max_pixels: images with more are errors; their header is enough to know.
        reading: what of the data set is decided already.
        allow_duplicates: whether pages to train on may show the same picture as held-out ones.
        on_progress: is called after each image with the number done and the number of all.

    Raises:
        DataError: the folder has no layout that is known, or index.csv cannot be used.
    """
    data_set = DataSet.read(root, reading)
    problems = list(data_set.problems)
    bad = {problem.file for problem in problems if problem.level == "error"}
    pages: list[Page] = []
    kept: list[Page] = []
    dropped = 0
    by_content: dict[str, list[Page]] = defaultdict(list)
    looks: dict[str, Look] = {}
    own: dict[str, list[Problem]] = {}
    for done, found in enumerate(_inspect_all(data_set.labelled, max_pixels), start=1):
        problems += found.problems
        own[found.page.name] = list(found.problems)
        by_content[found.sha256].append(found.page)
        if found.look is not None:
            looks[found.page.name] = found.look
        if found.kept is not None and found.page.name not in bad:
            page, count = found.kept
            kept.append(page)
            dropped += count
            if not count:
                pages.append(page)
        if on_progress is not None:
            on_progress(done, len(data_set.labelled))
    alike = alike_by_name(looks)
    leaking = leaks([item.page for item in data_set.labelled], alike)
    same = {name: first for pages_of in by_content.values() for name, first in _copies(pages_of)}
    duplicates = list(_duplicate_problems(alike, leaking, same, allow_duplicates))
    problems += duplicates
    for problem in [*data_set.problems, *duplicates]:
        own.get(problem.file, []).append(problem)
    if not allow_duplicates:
        pages = [page for page in pages if page.name not in leaking]
        kept = [page for page in kept if page.name not in leaking]
    problems += no_text_at_all(pages)
    problems += odd_outlines(pages)
    problems += likely_misfits(pages, max_pixels)
    problems.sort(key=lambda problem: problem.file)
    usable = {page.name for page in pages}
    return CheckReport(
        tuple(problems),
        tuple(pages),
        tuple(kept),
        dropped,
        data_set.group_column,
        data_set.labels,
        tuple(pair for pair in alike if usable.issuperset(pair)),
        tuple(_flawed([item.page for item in data_set.labelled], own)),
    )


def _flawed(pages: Sequence[Page], own: Mapping[str, Sequence[Problem]]) -> list[FlawedPage]:
    found = [FlawedPage(page, tuple(own[page.name])) for page in pages if own[page.name]]
    return sorted(found, key=lambda page: all(p.level != "error" for p in page.problems))


@dataclass(frozen=True)
class _Inspected:
    """A page; `kept` is what can be used of it, with the number of its bad boxes."""

    page: Page
    sha256: str
    look: Look | None
    problems: list[Problem]
    kept: tuple[Page, int] | None


def _inspect_all(labelled: Sequence[LabelledImage], max_pixels: int) -> Iterator[_Inspected]:
    # Threads suffice: Pillow and hashlib let go of the interpreter while they work.
    with ThreadPoolExecutor() as pool:
        yield from pool.map(lambda item: _inspect(item, max_pixels), labelled)


def _inspect(labelled: LabelledImage, max_pixels: int) -> _Inspected:
    page = labelled.page
    problems: list[Problem] = []
    content, look = b"", None
    size: tuple[float, float] = _UNKNOWN_SIZE
    try:
        content = read_bytes(page.image)
        pixels = decode_image(content, page.name, max_pixels)
        size = (pixels.shape[1], pixels.shape[0])
        look = look_of(pixels)
    except DataError as error:
        problems.append(Problem("error", page.name, error.problem, remedy=error.remedy))
    kept = None if problems else labelled.without_bad_boxes(size)
    problems += labelled.problems(size)
    return _Inspected(page, hashlib.sha256(content).hexdigest(), look, problems, kept)


def _copies(same: Sequence[Page]) -> Iterator[tuple[str, str]]:
    """All but the first of some pages, each with the first."""
    first, *others = same
    yield from ((page.name, first.name) for page in others)


def _duplicate_problems(
    alike: Alike, leaking: Mapping[str, str], same: Mapping[str, str], allow: bool
) -> Iterator[Problem]:
    for name, measuring in leaking.items():
        reason = leak_in_words(measuring)
        yield Problem("warning" if allow else "error", name, reason, remedy=LEAK_REMEDY)
    for name, first in same.items():
        if name not in leaking and first not in leaking:
            yield Problem("warning", name, f"the same image as {first}")
    for first, name in alike:
        if name not in same and name not in leaking and first not in leaking:
            yield Problem("warning", name, f"shows the same picture as {first}")
