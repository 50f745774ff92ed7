"""A labelled data set, read from any layout and format, with the problems found in it.

Images are not decoded here (`detector.data.check` does), only their headers are read.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from detector.data.boxes import as_dont_care, box_problems
from detector.data.fit import certain_misfit
from detector.data.formats import layout
from detector.data.formats.annotation import Annotation
from detector.data.formats.label_file import LabelFile
from detector.data.formats.labels import Entry
from detector.data.formats.matching import ImageNames
from detector.data.formats.recognise import Recognised, entries_of, in_words, recognise
from detector.data.images import image_size, is_stored_sideways
from detector.data.mend import mended, mends_in_words
from detector.data.page import Page, TextBox
from detector.data.problem import Problem, refuse_errors
from detector.data.source import fetch
from detector.errors import DataError
from detector.wording import counted


@dataclass(frozen=True)
class Reading:
    """What of a data set is decided by a person, where its files leave it open.

    Attributes:
        group_column: the column of index.csv that groups pages (see `layout.read_index`).
        format: a key of `recognise.FORMAT_KEYS`; None takes what the files show.
        held_out: the part that is held out, where several may be.
        group_by: what groups pages in place of index.csv: "folder", or a regular expression for
            their names (see `layout.group_images`).
    """

    group_column: str | None = None
    format: str | None = None
    held_out: str | None = None
    group_by: str | None = None


AS_FOUND = Reading()
"""Nothing is decided: all is as the files show it."""


@dataclass(frozen=True)
class LabelledImage:
    """One image and its annotation, before either was checked.

    Attributes:
        page: with every box that could be parsed, good or bad.
        annotation: the same boxes with their places, and what could not be parsed.
        annotation_file: path below the root of the file that holds them.
        mends: how often each kind of mistake was put right in them.
    """

    page: Page
    annotation: Annotation
    annotation_file: str
    mends: Counter[str] = field(default_factory=Counter)

    def without_bad_boxes(self, size: tuple[float, float]) -> tuple[Page, int] | None:
        """The page with its bad boxes made don't care, where they have an area, or taken away, and
        how many they are; None where more is wrong with the page, or nothing is left of its text.

        Args:
            size: width and height of the upright image.
        """
        annotation = self.annotation
        if certain_misfit(annotation.boxes, size, lambda: is_stored_sideways(self.page.image)):
            return None
        found = box_problems(annotation.boxes, size)
        bad = {i for i, level, _ in found if level == "error"}
        count = len(bad) + len(annotation.faults)
        if count != sum(problem.level == "error" for problem in self.problems(size)):
            return None
        boxes = [
            as_dont_care(box, size) if i in bad else box for i, box in enumerate(annotation.boxes)
        ]
        kept = tuple(box for box in boxes if box is not None)
        if not kept and count:
            return None
        return replace(self.page, boxes=kept), count

    def problems(self, size: tuple[float, float]) -> list[Problem]:
        """What is wrong with the annotation.

        Args:
            size: width and height of the upright image; infinite where it is not known.
        """
        file, annotation = self.annotation_file, self.annotation
        problems = [Problem("error", file, reason, place) for place, reason in annotation.faults]
        misfit = certain_misfit(annotation.boxes, size, lambda: is_stored_sideways(self.page.image))
        if misfit is not None:
            # One reason in place of one for each outline.
            problems.append(Problem("error", self.page.name, misfit))
        else:
            problems += [
                Problem(level, file, reason, annotation.places[i], box=i)
                for i, level, reason in box_problems(annotation.boxes, size)
            ]
        if not annotation.boxes and not annotation.faults:
            reason = "has no boxes: the page counts as one without text"
            problems.append(Problem("warning", self.page.name, reason))
        declared = annotation.declared_size
        if declared is not None and float("inf") not in size and declared != size:
            reason = f"is {size[0]}x{size[1]}, but annotated as {declared[0]}x{declared[1]}"
            problems.append(Problem("error", self.page.name, reason))
        return problems


@dataclass(frozen=True)
class DataSet:
    """A data set as its folder names and annotations describe it.

        data = DataSet.read("receipts")
        for page in data.pages():
            print(page.name, [box.text for box in page.boxes])

    Attributes:
        root: its folder.
        labelled: the images that have annotations, by name.
        problems: what is wrong with the layout and the annotation files, boxes apart.
        group_column: what groups pages, if anything: a column of index.csv, or `Reading.group_by`.
        labels: the formats that were recognised, in words.
    """

    root: Path
    labelled: list[LabelledImage]
    problems: list[Problem]
    group_column: str | None
    labels: str

    @classmethod
    def read(cls, source: str | Path, reading: Reading = AS_FOUND) -> "DataSet":
        """Everything that folder names and label files say, with what is wrong about it.

        Args:
            source: a folder in one of the layouts of `detector.data.formats.layout`, with labels
                in one of the formats of `detector.data.formats.recognise`; or the s3:// URL of
                one, which is copied into a cache first.
            reading: what of it is decided already.

        Raises:
            DataError: there is no such folder, it has no layout that is known, its labels are of
                two formats, or index.csv cannot be used.
        """
        if reading.group_by is not None and reading.group_column is not None:
            raise DataError(
                "is set beside data.group_column, which groups pages otherwise",
                where="data.group_by",
                remedy="set one of them",
            )
        root = fetch(str(source))
        splits = layout.find_splits(root, reading.held_out)
        index = layout.read_index(root, splits, reading.group_column, reading.held_out)
        looked = [_look_at(root, split, reading.format) for split in splits]
        if reading.group_by is not None:
            index = _grouped_by(reading.group_by, index, looked)
        all_entries = entries_of([part.recognised for part in looked])
        parts = [
            _read_split(root, part, entries, index, reading.held_out)
            for part, entries in zip(looked, all_entries, strict=True)
        ]
        labelled = [item for part in parts for item in part.labelled]
        # A file that may be of several parts is looked at for each.
        found = (problem for part in parts for problem in part.problems)
        problems = [*index.problems, *dict.fromkeys(found)]
        problems += index.unknown_rows(
            (part.split, path) for part in looked for path in part.images
        )
        if not labelled:
            problems.append(Problem("error", ".", "no image has an annotation"))
        if index.column is not None:
            place = f"{index.column} in {layout.INDEX}"
            what = f"group by {reading.group_by}" if reading.group_by else place
            problems += _group_problems([item.page for item in labelled], what)
        files = sum((part.files for part in parts), Counter[str]())
        return cls(root, labelled, problems, index.column, in_words(files))

    def pages(self) -> list[Page]:
        """The pages, if nothing but the images' pixels could be wrong with the data set.

        Images are not decoded: `read_image` refuses a damaged one.

        Raises:
            DataError: the data set has errors (the first few are named) or no pages.
        """
        problems = list(self.problems)
        for labelled in self.labelled:
            try:
                size = image_size(labelled.page.image)
            except DataError as error:
                problems.append(Problem("error", labelled.page.name, error.problem))
            else:
                problems += labelled.problems(size)
        refuse_errors(problems, str(self.root))
        return [labelled.page for labelled in self.labelled]


@dataclass(frozen=True)
class _Looked:
    """What lies in the folders of one part, before labels are read."""

    split: layout.Split
    images: list[Path]
    names: ImageNames
    recognised: Recognised
    problems: list[Problem]


def _look_at(root: Path, split: layout.Split, format_key: str | None) -> _Looked:
    images, problems = layout.find_images(root, split)
    if not images:
        reason = "holds no image, so that a part of the training pages is held out in its place"
        folder = layout.relative(split.images, root)
        problems.append(Problem("warning", folder, reason if split.held_out else "holds no image"))
    names = ImageNames(images)
    files = [
        LabelFile(
            path,
            layout.relative(path, root),
            # Images of two parts may have one name, so that such a name tells nothing.
            None if is_shared else names.of_label_file(path.name),
            is_shared,
        )
        for path, is_shared in layout.find_label_files(split)
    ]
    recognised = recognise(files, format_key)
    problems += [
        Problem("skip", file.name, "holds no labels")
        if error is None
        else Problem("error", file.name, error.problem, remedy=error.remedy)
        for file, error in recognised.unread
    ]
    return _Looked(split, images, names, recognised, problems)


def _read_split(
    root: Path,
    looked: _Looked,
    entries: Sequence[Entry],
    index: layout.Index,
    held_out: str | None,
) -> "_Part":
    split, images = looked.split, looked.images
    found, problems = _by_image(root, looked, entries)
    out = _held_out_images(root, split, found, held_out) | {
        path for path in found if split.held_out or index.holds_out(split, path)
    }
    labelled = [
        _labelled(root, split, index, path, found[path], path in out)
        for path in images
        if path in found
    ]
    problems += _without_labels(root, split, [path for path in images if path not in found], found)
    problems += _mended(labelled)
    return _Part(labelled, [*looked.problems, *problems], looked.recognised.files())


def _held_out_images(
    root: Path, split: layout.Split, found: Mapping[Path, Entry], held_out: str | None
) -> set[Path]:
    """The images of a flat data set whose labels lie in a file of a held-out part, as in test.txt
    beside train.txt."""
    if split.name:
        return set()
    files = {entry.file.path for entry in found.values() if entry.file.image is None}
    out = layout.held_out_files(root, files, held_out)
    return {path for path, entry in found.items() if entry.file.path in out}


def _grouped_by(by: str, index: layout.Index, looked: Sequence[_Looked]) -> layout.Index:
    groups = {
        place: group
        for part in looked
        for place, group in layout.group_images(by, part.split, part.images).items()
    }
    return replace(index, column=by, groups=groups, problems=())


@dataclass(frozen=True)
class _Part:
    """What one part of a data set holds; `files` counts those of each format."""

    labelled: list["LabelledImage"]
    problems: list[Problem]
    files: Counter[str]


def _by_image(
    root: Path, looked: _Looked, entries: Sequence[Entry]
) -> tuple[dict[Path, Entry], list[Problem]]:
    """The labels of each image, and what labels none or one that has some already."""
    found: dict[Path, Entry] = {}
    problems: list[Problem] = []
    for entry in entries:
        image = looked.names.named(entry.image) if entry.image else entry.file.image
        if entry.file.is_shared and (
            image is None or not layout.may_be_of(entry.image, looked.split)
        ):
            continue
        if image is None:
            reason = "no such image" if entry.image else "annotates no image"
            problems.append(Problem("error", entry.file.name, reason, entry.image or None))
        elif image in found:
            problems.append(_labelled_twice(root, looked.recognised, found[image], entry, image))
        else:
            found[image] = entry
    return found, problems


def _labelled_twice(
    root: Path, recognised: Recognised, first: Entry, second: Entry, image: Path
) -> Problem:
    if recognised.format_of(first.file) != recognised.format_of(second.file):
        kinds = in_words(recognised.files())
        raise DataError(
            f"its labels are of two kinds, {kinds}, and both label {image.name}",
            where=str(root),
            remedy="remove one of them, or name the one to take with `--format` (data.format): "
            + ", ".join(kind.key for kind in recognised.by_format),
        )
    both = " and ".join(dict.fromkeys([first.file.name, second.file.name]))
    return Problem("error", layout.relative(image, root), f"has two annotations: {both}")


def _labelled(
    root: Path,
    split: layout.Split,
    index: layout.Index,
    path: Path,
    entry: Entry,
    held_out: bool,
) -> "LabelledImage":
    boxes, mends = mended(_in_pixels(entry.annotation, path))
    page = Page(
        name=layout.relative(path, root),
        image=path,
        boxes=tuple(boxes),
        held_out=held_out,
        group=index.group_of(split, path),
    )
    annotation = replace(entry.annotation, boxes=boxes, is_relative=False)
    return LabelledImage(page, annotation, entry.file.name, mends)


def _in_pixels(annotation: Annotation, image: Path) -> list[TextBox]:
    if not annotation.is_relative:
        return annotation.boxes
    try:
        size = np.array(image_size(image), np.float64)
    except DataError:
        return annotation.boxes  # The image is a problem of its own.
    return [replace(box, points=box.points * size) for box in annotation.boxes]


def _without_labels(
    root: Path, split: layout.Split, images: Sequence[Path], found: Collection[Path]
) -> list[Problem]:
    if images and not found:
        folder = layout.relative(split.images, root) or "."
        reason = f"no annotations beside it: {counted(len(images), 'image')} not used"
        return [Problem("skip", folder, reason)]
    return [Problem("skip", layout.relative(image, root), "has no labels") for image in images]


def _mended(labelled: Sequence["LabelledImage"]) -> list[Problem]:
    """What was put right, once a file."""
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    for item in labelled:
        by_file[item.annotation_file] += item.mends
    return [
        Problem("warning", file, reason)
        for file, counts in by_file.items()
        for reason in mends_in_words(counts)
    ]


def _group_problems(pages: Sequence[Page], what: str) -> list[Problem]:
    """Training pages of groups that are held out too, and pages without a group."""
    held_out = {page.group for page in pages if page.held_out and page.group is not None}
    problems = [
        Problem("warning", page.name, f"has no {what}") for page in pages if page.group is None
    ]
    problems += [
        Problem("error", page.name, f"is for training, but its group {page.group!r} is held out")
        for page in pages
        if not page.held_out and page.group in held_out
    ]
    return problems
