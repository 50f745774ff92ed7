"""The full check of a data set: every image is decoded and every box looked at, before any of it is
trained on or scored. Nothing is mended here; `detector.data.convert` writes clean copies."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from detector.data.data_set import AS_FOUND, DataSet, LabelledImage, Reading
from detector.data.fit import likely_misfits, no_text_at_all, odd_outlines
from detector.data.images import MAX_PIXELS, decode_image, read_bytes
from detector.data.page import Page
from detector.data.problem import Level, Problem
from detector.errors import DataError

__all__ = ["CheckReport", "Problem", "check_data"]

_UNKNOWN_SIZE = (float("inf"), float("inf"))


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
    """

    problems: tuple[Problem, ...]
    pages: tuple[Page, ...]
    kept: tuple[Page, ...]
    dropped_boxes: int
    group_column: str | None
    labels: str

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
    on_progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Look at every image and every box of a data set.

    Args:
        root: a folder in one of the layouts of `detector.data.formats.layout`.
        max_pixels: images with more are errors; their header is enough to know.
        reading: what of the data set is decided already.
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
    for done, found in enumerate(_inspect_all(data_set.labelled, max_pixels), start=1):
        problems += found.problems
        by_content[found.sha256].append(found.page)
        if found.kept is not None and found.page.name not in bad:
            page, count = found.kept
            kept.append(page)
            dropped += count
            if not count:
                pages.append(page)
        if on_progress is not None:
            on_progress(done, len(data_set.labelled))
    for same in by_content.values():
        problems += _duplicate_problems(same)
    problems += no_text_at_all(pages)
    problems += odd_outlines(pages)
    problems += likely_misfits(pages, max_pixels)
    problems.sort(key=lambda problem: problem.file)
    return CheckReport(
        tuple(problems),
        tuple(pages),
        tuple(kept),
        dropped,
        data_set.group_column,
        data_set.labels,
    )


@dataclass(frozen=True)
class _Inspected:
    """A page; `kept` is what can be used of it, with the number of its bad boxes."""

    page: Page
    sha256: str
    problems: list[Problem]
    kept: tuple[Page, int] | None


def _inspect_all(labelled: Sequence[LabelledImage], max_pixels: int) -> Iterator[_Inspected]:
    # Threads suffice: Pillow and hashlib let go of the interpreter while they work.
    with ThreadPoolExecutor() as pool:
        yield from pool.map(lambda item: _inspect(item, max_pixels), labelled)


def _inspect(labelled: LabelledImage, max_pixels: int) -> _Inspected:
    page = labelled.page
    problems: list[Problem] = []
    content = b""
    size: tuple[float, float] = _UNKNOWN_SIZE
    try:
        content = read_bytes(page.image)
        height, width, _ = decode_image(content, page.name, max_pixels).shape
        size = (width, height)
    except DataError as error:
        problems.append(Problem("error", page.name, error.problem, remedy=error.remedy))
    kept = None if problems else labelled.without_bad_boxes(size)
    problems += labelled.problems(size)
    return _Inspected(page, hashlib.sha256(content).hexdigest(), problems, kept)


def _duplicate_problems(same: Sequence[Page]) -> Iterator[Problem]:
    first, *others = same
    for page in others:
        leak = (
            ", which is on the other side of the split" if page.held_out != first.held_out else ""
        )
        yield Problem("warning", page.name, f"the same image as {first.name}{leak}")
