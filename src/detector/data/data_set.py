"""A labelled data set, read from any layout and format, with the problems found in it.

Images are not decoded here (`detector.data.check` does), only their headers are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detector.data.boxes import box_problems
from detector.data.fit import certain_misfit
from detector.data.formats import layout
from detector.data.formats.annotation import Annotation
from detector.data.formats.icdar import read_icdar
from detector.data.formats.words_json import read_words_json
from detector.data.images import image_size, is_stored_sideways
from detector.data.page import Page
from detector.data.problem import Problem, refuse_errors
from detector.data.source import fetch
from detector.errors import DataError
from detector.wording import counted


@dataclass(frozen=True)
class LabelledImage:
    """One image and its annotation, before either was checked.

    Attributes:
        page: with every box that could be parsed, good or bad.
        annotation: the same boxes with their places, and what could not be parsed.
        annotation_file: path below the root of the file that holds them.
    """

    page: Page
    annotation: Annotation
    annotation_file: str

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
                Problem(level, file, reason, annotation.places[i])
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
        group_column: the column of index.csv that groups pages, if any.
    """

    root: Path
    labelled: list[LabelledImage]
    problems: list[Problem]
    group_column: str | None

    @classmethod
    def read(cls, source: str | Path, group_column: str | None = None) -> "DataSet":
        """Everything that folder names and annotation files say, with what is wrong about it.

        Args:
            source: a folder in one of the layouts of `detector.data.formats.layout`, or the
                s3:// URL of one, which is copied into a cache first.
            group_column: the column of index.csv that groups pages (see `layout.read_groups`).

        Raises:
            DataError: there is no such folder, it has no layout that is known, or index.csv cannot
                be used.
        """
        root = fetch(str(source))
        splits = layout.find_splits(root)
        groups = layout.read_groups(root, splits, group_column)
        labelled: list[LabelledImage] = []
        problems = list(groups.problems)
        for split in splits:
            of_split, problems_of_split = _read_split(root, split, groups)
            labelled += of_split
            problems += problems_of_split
        if not labelled:
            problems.append(Problem("error", ".", "no image has an annotation"))
        if groups.column is not None:
            problems += _group_problems([item.page for item in labelled], groups.column)
        return cls(root, labelled, problems, groups.column)

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


def _read_split(
    root: Path, split: layout.Split, groups: layout.Groups
) -> tuple[list[LabelledImage], list[Problem]]:
    images, problems = layout.find_images(root, split)
    if not images:
        reason = "holds no image, so that a part of the training pages is held out in its place"
        folder = layout.relative(split.folder / layout.IMAGES, root)
        problems.append(Problem("warning", folder, reason if split.held_out else "holds no image"))
    annotations, annotation_problems = _read_annotations(root, split, images)
    labelled = []
    for path in images:
        if path.name in annotations:
            file, annotation = annotations[path.name]
            page = Page(
                name=layout.relative(path, root),
                image=path,
                boxes=tuple(annotation.boxes),
                held_out=split.held_out,
                group=groups.by_page.get((split.name, path.stem)),
            )
            labelled.append(LabelledImage(page, annotation, file))
    return labelled, [*problems, *annotation_problems]


_Found = tuple[dict[str, tuple[str, Annotation]], list[Problem]]
"""By image name, the annotation and the file it stands in; and what is wrong."""


def _read_annotations(root: Path, split: layout.Split, images: list[Path]) -> _Found:
    words_json = layout.find_words_json(split)
    if words_json is not None:
        return _read_words_json(root, words_json, images)
    if (split.folder / layout.GROUND_TRUTH).is_dir():
        return _read_ground_truth(root, split, images)
    folder = layout.relative(split.folder / layout.IMAGES, root)
    reason = f"no annotations beside it: {counted(len(images), 'image')} not used"
    return {}, [Problem("skip", folder, reason)]


def _read_words_json(root: Path, path: Path, images: list[Path]) -> _Found:
    file = layout.relative(path, root)
    try:
        annotations = read_words_json(path)
    except DataError as error:
        return {}, [Problem("error", file, error.problem)]
    names = {image.name for image in images}
    problems = [
        Problem("skip", layout.relative(image, root), f"no annotation in {file}")
        for image in images
        if image.name not in annotations
    ]
    problems += [
        Problem("error", file, _missing_image(name), name)
        for name in annotations
        if name not in names
    ]
    return {name: (file, found) for name, found in annotations.items() if name in names}, problems


def _missing_image(name: str) -> str:
    nested = len(PurePosixPath(name).parts) > 1
    return "names an image in a folder; only images/ itself is read" if nested else "no such image"


def _read_ground_truth(root: Path, split: layout.Split, images: list[Path]) -> _Found:
    folder = split.folder / layout.GROUND_TRUTH
    unused = {p.name for p in folder.iterdir() if p.suffix == ".txt" and p.name[0] != "."}
    stems = {image.stem for image in images}
    annotations: dict[str, tuple[str, Annotation]] = {}
    problems: list[Problem] = []
    for image in images:
        candidates = [f"{image.stem}.txt"]
        if f"gt_{image.stem}" not in stems:
            candidates.append(f"gt_{image.stem}.txt")
        present = [folder / name for name in candidates if (folder / name).is_file()]
        unused.difference_update(candidates)
        name = layout.relative(image, root)
        if not present:
            problems.append(Problem("skip", name, "no annotation file in gt/"))
            continue
        if len(present) > 1:
            problems.append(Problem("error", name, f"has two annotations: {', '.join(candidates)}"))
        try:
            annotations[image.name] = (layout.relative(present[0], root), read_icdar(present[0]))
        except DataError as error:
            problems.append(Problem("error", layout.relative(present[0], root), error.problem))
    problems += [
        Problem("error", layout.relative(folder / name, root), "annotates no image")
        for name in sorted(unused)
    ]
    return annotations, problems


def _group_problems(pages: Sequence[Page], column: str) -> list[Problem]:
    """Training pages of groups that are held out too, and pages without a group."""
    held_out = {page.group for page in pages if page.held_out and page.group is not None}
    problems = [
        Problem("warning", page.name, f"has no {column} in {layout.INDEX}")
        for page in pages
        if page.group is None
    ]
    problems += [
        Problem("error", page.name, f"is for training, but its {column} {page.group!r} is held out")
        for page in pages
        if not page.held_out and page.group in held_out
    ]
    return problems
