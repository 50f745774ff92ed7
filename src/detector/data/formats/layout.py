"""Where a data set's images, label files and groups lie. Names and folders only: no image is opened
here, and no label file.

    DIR/images + DIR/gt                              a flat data set
    DIR/*.jpg with labels beside them                a flat data set
    DIR/train/… + DIR/val/…                          each like a flat one; the second is held out
    DIR/images/train + DIR/labels/train              the same, the other way round
    DIR/ch4_training_images + DIR/ch4_training_gt    parts by words of the names
    DIR/images/ + DIR/train.txt + DIR/test.txt       parts by the files that hold the labels
    DIR/index.csv                                    optional: columns split, name and a group

Names count in any case, and so do their usual variants. What the label files hold is found out by
`detector.data.formats.recognise`.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from detector.data.formats.matching import page_stem, plain
from detector.data.formats.recognise import SUFFIXES
from detector.data.images import IMAGE_SUFFIXES
from detector.data.problem import Problem
from detector.errors import DataError
from detector.names import readable
from detector.wording import counted

BY_FOLDER = "folder"
"""What pages are grouped by, if not by a column or by their names."""
IMAGES = "images"
GROUND_TRUTH = "gt"
INDEX = "index.csv"

_IMAGE_FOLDERS = (IMAGES, "image", "img", "imgs", "jpegimages", "image_files")
_LABEL_FOLDERS = frozenset(
    {
        *(GROUND_TRUTH, "gts", "groundtruth", "ground_truth", "label", "labels", "labeltxt"),
        *("ann", "anns", "anno", "annos", "annotation", "annotations", "box", "boxes", "json"),
    }
)
_TRAIN = frozenset({"train", "training", "train2017", "training_data"})
_HELD_OUT = frozenset(
    {
        *("val", "valid", "validation", "dev", "test", "testing", "held_out", "held-out"),
        *("val2017", "testing_data"),
    }
)
_DEEPEST = 2
"""In how many folders, one in another, a data set may lie, as what was unpacked does."""
_FOLDS = "folds.json"
"""What `detsweep data folds` writes, which may lie beside the labels."""


PageKey = tuple[str, str]


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        images: the folder of its images.
        labels: folders whose files may be its labels.
        shared: folders whose files may be labels of all parts; one that has the name of a part in
            its own is of that part.
        name: the part that its folder's name means; empty in a flat data set.
        held_out: whether its pages are kept from all training.
    """

    images: Path
    labels: tuple[Path, ...]
    shared: tuple[Path, ...]
    name: str
    held_out: bool


@dataclass(frozen=True)
class Index:
    """What index.csv says of pages, by part and `matching.plain` name without file name ending. The
    part is empty in a flat data set, and where the file has none.

    Attributes:
        column: the column of groups that was taken; None where pages have no groups.
        groups: the group of each page.
        held_out: the pages of a flat data set that are held out.
        rows: the line that each page stands in, and its name there.
        problems: what is worth knowing about the choice.
    """

    column: str | None = None
    groups: Mapping[PageKey, str] = field(default_factory=dict)
    held_out: frozenset[PageKey] = frozenset()
    rows: Mapping[PageKey, tuple[int, str]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def group_of(self, split: Split, image: Path) -> str | None:
        """The group of an image, if it has one."""
        return next((self.groups[key] for key in _keys(split, image) if key in self.groups), None)

    def holds_out(self, split: Split, image: Path) -> bool:
        """Whether the file says that an image is held out."""
        return not self.held_out.isdisjoint(_keys(split, image))

    def unknown_rows(self, images: Iterable[tuple[Split, Path]]) -> list[Problem]:
        """That rows name no image, where some do.

        Args:
            images: all of the data set, each with its part.
        """
        known = {key for split, image in images for key in _keys(split, image)}
        unknown = [row for key, row in self.rows.items() if key not in known]
        if not unknown:
            return []
        line, name = unknown[0]
        more = f", nor do {counted(len(unknown) - 1, 'other row')}" if unknown[1:] else ""
        return [Problem("error", INDEX, f"{name!r} names no image{more}", line)]


def _keys(split: Split, image: Path) -> tuple[PageKey, PageKey]:
    name = plain(image.stem)
    return (plain(split.name), name), ("", name)


def find_splits(root: Path, held_out: str | None = None) -> list[Split]:
    """The parts of a data set.

    Args:
        root: its folder.
        held_out: the name of the part that is held out; None takes the only one that is named so.

    Raises:
        DataError: the folder has no layout that is known, or it is not clear which part of several
            is held out.
    """
    if not root.is_dir():
        raise _layout_error(root, "there is no such folder")
    root = _innermost(root)
    images = _image_folder(root)
    parts = _split_folders(root) or (_split_folders(images) if images else [])
    if parts and images and _has_images(images):
        others = ", ".join(folder.name for folder in parts)
        raise _layout_error(root, f"has {images.name}/ beside {others}: which pages are meant?")
    if not parts:
        if images is None:
            raise _layout_error(root, "holds no images, and no folder of them")
        return [Split(images, _label_folders(root, images), (), "", held_out=False)]
    names = [_part_of(folder.name) for folder in parts]
    chosen = _chosen_part(root, names, held_out)
    if set(names) == {chosen}:
        raise _layout_error(root, f"holds {chosen}/ alone, which is held out: nothing to train on")
    return [_split(root, folder, _part_of(folder.name) == chosen) for folder in parts]


def _innermost(root: Path) -> Path:
    """The folder that holds the data set, where it is the only one that its folder holds."""
    for _ in range(_DEEPEST):
        inner = [path for path in _folders(root) if not path.name.startswith("__")]
        if _image_folder(root) or _split_folders(root) or len(inner) != 1:
            break
        (root,) = inner
    return root


def held_out_files(root: Path, files: Iterable[Path], held_out: str | None) -> set[Path]:
    """Of label files, those of the held-out part by their names; none, where none is named after a
    part to train on.

    Raises:
        DataError: it is not clear which part of several is held out.
    """
    found = {file: _parts_in(file.stem) for file in files}
    # A file that is named after two parts says nothing of either.
    parts = {file: names[0] for file, names in found.items() if len(names) == 1}
    names = sorted(set(parts.values()))
    if not (_TRAIN.intersection(names) and any(map(_is_held_out, names))):
        return set()
    chosen = _chosen_part(root, names, held_out)
    return {file for file, part in parts.items() if part == chosen}


def split_of(name: str) -> str:
    """The name of a page's part: "train", "val", ..., or "" in a flat data set.

    >>> split_of("train/images/a.jpg"), split_of("images/a.jpg")
    ('train', '')
    """
    return next(filter(None, map(_part_of, PurePosixPath(name).parts[:-1])), "")


def may_be_of(name: str, split: Split) -> bool:
    """Whether a label file that all parts share may mean an image of this one."""
    return split_of(name).lower() in {"", split.name.lower()}


def find_images(root: Path, split: Split) -> tuple[list[Path], list[Problem]]:
    """The image files of a split by name, and what else lies beside them."""
    images: list[Path] = []
    problems: list[Problem] = []
    for path in _files_of(split.images):
        if path.is_dir():
            if path not in split.labels:
                reason = f"folders in {split.images.name}/ are not read"
                problems.append(Problem("skip", relative(path, root), reason))
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            if path.suffix.lower() not in SUFFIXES:
                problems.append(Problem("skip", relative(path, root), "not an image by its name"))
        elif path.is_symlink() and not path.exists():
            target = path.readlink()
            problems.append(
                Problem("error", relative(path, root), f"links to {target}, which is gone")
            )
        elif path.exists() and not path.is_file():
            # To read it would wait for whoever writes, for ever.
            problems.append(
                Problem("error", relative(path, root), "is a pipe or a device, no file")
            )
        else:
            images.append(path)
    return images, problems + _name_clashes(root, images)


def _files_of(folder: Path) -> list[Path]:
    """What lies in a folder of images; in all folders below it, where none lies in itself."""
    is_nested = not _has_images(folder) and any(map(_has_images, folder.rglob("*/")))
    files = folder.rglob("*") if is_nested else folder.iterdir()
    return sorted(
        path
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not (is_nested and path.is_dir())
    )


def find_label_files(split: Split) -> Iterator[tuple[Path, bool]]:
    """The files that may hold the labels of a split, and whether each may hold those of others."""
    for folder in split.labels:
        yield from ((path, False) for path in _label_files(folder))
    for folder in split.shared:
        for path in _label_files(folder):
            # COCO's instances_train.json beside train/
            parts = _parts_in(path.stem)
            if not parts or split.name.lower() in parts:
                yield path, not parts


def _label_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.name != _FOLDS and path.is_file():
            yield path


def _part_of(name: str) -> str:
    """The part that a folder's name means: itself, or the word `test` of `ch4_test_images`; empty
    where it means none."""
    if _is_split(name):
        return name
    words = set(_words(name))
    is_of_images = words.intersection(_IMAGE_FOLDERS) and not words & _LABEL_FOLDERS
    return next(iter(_parts_in(name)), "") if is_of_images else ""


def _parts_in(name: str) -> list[str]:
    return [word for word in _words(name) if _is_split(word)]


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", name.lower())


def _split(root: Path, folder: Path, held_out: bool) -> Split:
    images = _image_folder(folder) or folder
    of_all = [path for path in _folders(root) if path.name.lower() in _LABEL_FOLDERS]
    # images/train may stand beside labels/train, and train/ beside annotations/train.json.
    places = (depth for path in of_all for depth in (path, *_folders(path)))
    own = [path / folder.name for path in places if (path / folder.name).is_dir()]
    name = _part_of(folder.name)
    if name != folder.name:
        own += [path for path in _folders(root) if _is_of_labels(path.name, name)]
    labels = (*_label_folders(folder, images), *own)
    return Split(images, labels, (root, *of_all), name, held_out)


def _is_of_labels(name: str, part: str) -> bool:
    """Whether a folder of this name has the labels of a part: `train` is short for `training`."""
    is_alike = any(part.startswith(word) or word.startswith(part) for word in _parts_in(name))
    return is_alike and not _LABEL_FOLDERS.isdisjoint(_words(name))


def _chosen_part(where: Path, names: Sequence[str], held_out: str | None) -> str:
    """The part that is held out: the one that a person names, or the only one that may be."""
    if held_out is not None:
        if held_out not in names:
            raise DataError(
                f"there is no {held_out}/ to hold out, only {', '.join(names)}",
                where=str(where),
                remedy="name one of them",
            )
        return held_out
    candidates = sorted({name for name in names if _is_held_out(name)})
    if len(candidates) > 1:
        raise DataError(
            f"has {len(candidates)} parts that may be held out: {', '.join(candidates)}",
            where=str(where),
            remedy="name the one to measure by, as in `--held-out test` (data.held_out=test); the "
            "others are trained on",
        )
    return next(iter(candidates), "")


def _split_folders(folder: Path) -> list[Path]:
    """The parts of a data set, those to train on first."""
    folders = [path for path in _folders(folder) if _part_of(path.name)]
    # Of `train` and `train_images` the first is one as all tools name them.
    plain = [path for path in folders if _is_split(path.name) and _image_folder(path)]
    parts = plain or [path for path in folders if _has_images(path)]
    return sorted(parts, key=lambda path: (_is_held_out(_part_of(path.name)), path.name))


def _is_split(name: str) -> bool:
    return name.lower() in _TRAIN or _is_held_out(name)


def _is_held_out(name: str) -> bool:
    return name.lower() in _HELD_OUT


def _image_folder(folder: Path) -> Path | None:
    """Where the images of a folder lie: in one of its folders that is named so, or in itself."""
    by_name = {path.name.lower(): path for path in _folders(folder)}
    named = [by_name[name] for name in _IMAGE_FOLDERS if name in by_name]
    full = [path for path in [*named, folder] if _has_images(path)]
    return next(iter(full or named), None)


def _label_folders(folder: Path, images: Path) -> tuple[Path, ...]:
    named = [path for path in _folders(folder) if path.name.lower() in _LABEL_FOLDERS]
    return tuple(dict.fromkeys([folder, images, *named]))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())


def read_index(root: Path, splits: list[Split], column: str | None, held_out: str | None) -> Index:
    """What index.csv says of pages.

    Args:
        root: the data set's folder.
        splits: what `find_splits` found there.
        column: the column of groups; None takes `group`, or the only one that ends in `_group`.
        held_out: the part of a flat data set that is held out, by the column `split`; None takes
            the only one that may be.

    Raises:
        DataError: a column is asked for and index.csv does not have it, it is not readable, or it
            is not clear which part is held out.
    """
    path = root / INDEX
    if not path.is_file():
        if column is not None:
            raise DataError(
                f"there is no {INDEX} to take the column {column!r} from",
                where=str(root),
                remedy="add the file, or leave data.group_column unset",
            )
        return Index()
    header, rows = _read_csv(path)
    chosen, problems = _choose_column(header, column, path)
    if "name" not in header:
        if chosen is None:
            return Index(problems=problems)
        raise DataError(
            f"has no column 'name', only {', '.join(header)}",
            where=str(path),
            remedy="name the image in each row",
        )
    is_flat = [split.name for split in splits] == [""]
    by_page = {
        ("" if is_flat else plain(row.get("split", "")), plain(page_stem(row["name"]))): (line, row)
        for line, row in rows
        if row["name"]
    }
    has_parts = is_flat and "split" in header
    of_parts = {key: row["split"] for key, (_, row) in by_page.items() if has_parts}
    return Index(
        chosen,
        {key: row[chosen] for key, (_, row) in by_page.items() if chosen and row[chosen]},
        _held_out_rows(path, of_parts, held_out),
        {key: (line, row["name"]) for key, (line, row) in by_page.items()},
        problems,
    )


def group_images(by: str, split: Split, images: Iterable[Path]) -> dict[PageKey, str]:
    """The groups of a part's images, as `Index.groups` has them.

    Args:
        by: `folder`, which is that of an image below the folder of all images; or what to search
            for in an image's name: a regular expression, whose first group in parentheses, or
            whole match, is the page's group.
        split: the part.
        images: its image files.

    Raises:
        DataError: it is no regular expression.
    """
    try:
        pattern = None if by == BY_FOLDER else re.compile(by)
    except re.error as error:
        raise DataError(
            f"{by!r} is no regular expression: {error}",
            where="data.group_by",
            remedy="write one such as '^(shop[0-9]+)_', or folder",
        ) from error
    groups: dict[PageKey, str] = {}
    for path in images:
        found = None if pattern is None else pattern.search(path.name)
        if found:
            groups[_keys(split, path)[0]] = (found[1] if found.re.groups else found[0]) or ""
        elif pattern is None and path.parent != split.images:
            groups[_keys(split, path)[0]] = path.parent.relative_to(split.images).as_posix()
    return groups


def _held_out_rows(
    path: Path, of_parts: Mapping[PageKey, str], held_out: str | None
) -> frozenset[PageKey]:
    parts = {part for part in of_parts.values() if _is_split(part)}
    if not parts:
        return frozenset()
    chosen = _chosen_part(path, sorted(parts), held_out)
    return frozenset(key for key, part in of_parts.items() if chosen and part == chosen)


def relative(path: Path, root: Path) -> str:
    """The path below the data set's root, with `/` between folders; what of it is no valid UTF-8 is
    spelt out, since no result could hold it."""
    return readable(path.relative_to(root).as_posix())


def _name_clashes(root: Path, images: list[Path]) -> list[Problem]:
    """Images that share an annotation file's name, or would on a case-insensitive disk."""
    alike: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        alike[path.stem.casefold()].append(path)
    problems: list[Problem] = []
    for paths in alike.values():
        for path in paths:
            others = [other.name for other in paths if other is not path]
            if any(other.stem == path.stem for other in paths if other is not path):
                reason = f"may share its annotation file with {', '.join(others)}: rename one"
                problems.append(Problem("error", relative(path, root), reason))
            elif others:
                reason = f"differs from {', '.join(others)} only by upper and lower case"
                problems.append(Problem("warning", relative(path, root), reason))
    return problems


def _read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Its columns, their names in lower case, and its rows with their lines."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        # Spreadsheets of many countries write semicolons.
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        filled = [(table.line_num, line) for line in table if any(line)] or [(1, [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"cannot be read: {error}", where=str(path), remedy="save it as UTF-8 CSV"
        ) from error
    (_, header), *lines = [(number, [field.strip() for field in line]) for number, line in filled]
    columns = [name.lower() for name in header]
    return columns, [
        (number, dict(zip_longest(columns, line[: len(columns)], fillvalue="")))
        for number, line in lines
    ]


def _choose_column(
    header: list[str], column: str | None, path: Path
) -> tuple[str | None, tuple[Problem, ...]]:
    if column is not None:
        column = column.lower()
        if column not in header:
            raise DataError(
                f"has no column {column!r}, only {', '.join(header)}",
                where=str(path),
                remedy="set data.group_column to one of them",
            )
        return column, ()
    if "group" in header:
        return "group", ()
    candidates = [name for name in header if name.endswith("_group")]
    if len(candidates) > 1:
        reason = f"{', '.join(candidates)}: none is taken; set data.group_column to one of them"
        return None, (Problem("warning", path.name, reason),)
    return (candidates[0] if candidates else None), ()


def _layout_error(folder: Path, problem: str) -> DataError:
    return DataError(
        problem,
        where=str(folder),
        remedy="lay it out as images/ and gt/, or as train/ and one of val/, test/, held_out/ "
        "that hold images/ and gt/ each (or one words JSON in place of gt/)",
    )
