"""Where a data set's images, annotations and groups lie. Names and folders only: no image and no
annotation is opened here.

    DIR/images + DIR/gt                              a flat data set
    DIR/train/{images,gt} + DIR/val/{images,gt}      with pages held out: val, test or held_out
    words.json in place of gt                        a words JSON of any name
    DIR/index.csv                                    optional: columns split, name and a group
"""

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from detector.data.images import IMAGE_SUFFIXES
from detector.data.problem import Problem
from detector.errors import DataError
from detector.names import is_utf8

IMAGES = "images"
GROUND_TRUTH = "gt"
TRAIN = "train"
HELD_OUT = ("val", "test", "held_out")
INDEX = "index.csv"


@dataclass(frozen=True)
class Split:
    """One folder that holds `images` and its annotations; `name` is empty in a flat data set."""

    folder: Path
    name: str
    held_out: bool


@dataclass(frozen=True)
class Groups:
    """The groups that index.csv gives.

    Attributes:
        column: the column that was taken; None where pages have no groups.
        by_page: the group of each page, by split (empty in a flat data set) and name without
            file name ending.
        problems: what is worth knowing about the choice.
    """

    column: str | None = None
    by_page: Mapping[tuple[str, str], str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def find_splits(root: Path) -> list[Split]:
    """The folders of a data set that hold images.

    Raises:
        DataError: the folder has none of the layouts above, or more than one.
    """
    held_out = [name for name in HELD_OUT if (root / name / IMAGES).is_dir()]
    has_train = (root / TRAIN / IMAGES).is_dir()
    if (root / IMAGES).is_dir():
        if has_train or held_out:
            others = ", ".join([TRAIN] * has_train + held_out)
            raise _layout_error(root, f"has images/ beside {others}: which pages are meant?")
        return [Split(root, "", held_out=False)]
    if not has_train:
        found = "there is no such folder" if not root.is_dir() else "holds no images/ folder"
        raise _layout_error(root, found)
    if len(held_out) > 1:
        raise _layout_error(root, f"has {len(held_out)} held-out splits: {', '.join(held_out)}")
    return [
        Split(root / TRAIN, TRAIN, held_out=False),
        *(Split(root / name, name, held_out=True) for name in held_out),
    ]


def find_images(root: Path, split: Split) -> tuple[list[Path], list[Problem]]:
    """The image files of a split by name, and what else lies beside them."""
    images: list[Path] = []
    problems: list[Problem] = []
    for path in sorted((split.folder / IMAGES).iterdir()):
        if path.name.startswith("."):
            continue
        if not is_utf8(path.name):
            problems.append(
                Problem("error", relative(path, root), "its name is no valid UTF-8: rename it")
            )
        elif path.is_dir():
            problems.append(
                Problem("skip", relative(path, root), "folders in images/ are not read")
            )
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            problems.append(Problem("skip", relative(path, root), "not an image by its name"))
        elif path.exists() and not path.is_file():
            # To read it would wait for whoever writes, for ever.
            problems.append(
                Problem("error", relative(path, root), "is a pipe or a device, no file")
            )
        else:
            images.append(path)
    return images, problems + _name_clashes(root, images)


def find_words_json(split: Split) -> Path | None:
    """The words JSON of a split; None where it has a `gt` folder, or nothing.

    Raises:
        DataError: it is not clear which file holds the annotations.
    """
    files = sorted(path for path in split.folder.glob("*.json") if path.is_file())
    if (split.folder / GROUND_TRUTH).is_dir():
        return None
    if len(files) > 1:
        raise _layout_error(
            split.folder, f"has {len(files)} JSON files: {', '.join(file.name for file in files)}"
        )
    return files[0] if files else None


def read_groups(root: Path, splits: list[Split], column: str | None) -> Groups:
    """The groups that index.csv gives to pages.

    Args:
        root: the data set's folder.
        splits: what `find_splits` found there.
        column: the column to take; None takes `group`, or the only one that ends in `_group`.

    Raises:
        DataError: a column is asked for and index.csv does not have it, or it is not readable.
    """
    path = root / INDEX
    if not path.is_file():
        if column is not None:
            raise DataError(
                f"there is no {INDEX} to take the column {column!r} from",
                where=str(root),
                remedy="add the file, or leave data.group_column unset",
            )
        return Groups()
    header, rows = _read_csv(path)
    chosen, problems = _choose_column(header, column, path)
    if chosen is None:
        return Groups(problems=problems)
    if "name" not in header:
        raise DataError(
            "has no column 'name'", where=str(path), remedy="name the image in each row"
        )
    is_flat = [split.name for split in splits] == [""]
    by_page = {
        ("" if is_flat else row.get("split") or "", page_stem(row["name"])): row[chosen]
        for row in rows
        if row[chosen]
    }
    return Groups(chosen, by_page, problems)


def page_stem(name: str) -> str:
    """The name of an image without its ending, if it has one that images have.

    >>> page_stem("shop.7.JPG"), page_stem("shop.7")
    ('shop.7', 'shop.7')
    """
    path = Path(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def relative(path: Path, root: Path) -> str:
    """The path below the data set's root, with `/` between folders."""
    return path.relative_to(root).as_posix()


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


def _read_csv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
            return list(reader.fieldnames or ()), rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"cannot be read: {error}", where=str(path), remedy="save it as UTF-8 CSV"
        ) from error


def _choose_column(
    header: list[str], column: str | None, path: Path
) -> tuple[str | None, tuple[Problem, ...]]:
    if column is not None:
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
