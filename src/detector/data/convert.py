"""Writing a clean copy of a data set, in one format and one layout, without leftovers."""

import csv
import io
import shutil
import uuid
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from detector.data.archives import ArchivePage, archive_suffix, format_archive
from detector.data.formats.coco import format_coco
from detector.data.formats.icdar import format_icdar
from detector.data.formats.labelme import format_labelme
from detector.data.formats.layout import GROUND_TRUTH, IMAGES, INDEX, split_of
from detector.data.formats.ppocr_label import format_line
from detector.data.formats.words_json import write_words_json
from detector.data.images import image_size
from detector.data.output_format import OutputFormat
from detector.data.page import Page
from detector.errors import DataError
from detector.names import is_utf8, readable
from detector.storage.atomic import write_atomically

WORDS_JSON = "words.json"
COCO_JSON = "annotations.json"
LABEL_TXT = "Label.txt"

_SHOWN = 5


def write_data_set(pages: Sequence[Page], target: Path, to: OutputFormat) -> None:
    """Write pages as a data set of their own; image files are copied byte for byte.

    Args:
        pages: of one data set, checked.
        target: a folder that does not exist yet, or is empty. It appears whole or not at all.
        to: ICDAR, labelme and the archives' formats have a file for each image, the others one for
            each split.

    Raises:
        DataError: the target is in use, or the format cannot hold a box.
    """
    if not pages:
        raise DataError(
            "no page is left to write", where=str(target), remedy="mend the labels first"
        )
    require_new(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        for split, members in _by_split(pages).items():
            _write_split(members, beside / split, to)
        _write_index(pages, beside / INDEX)
        beside.replace(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def require_new(target: Path) -> None:
    """Refuse a folder that holds something, for nothing of it is to be overwritten.

    Raises:
        DataError: it is no new or empty folder.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError("exists already", where=str(target), remedy="name a new folder")


def require_target(target: Path, source: str) -> None:
    """Refuse a folder that a copy of a data set cannot be written to, before any of it is read.

    Raises:
        DataError: it holds something, or lies in the data set, whose labels it would be taken for.
    """
    require_new(target)
    if "://" not in source and target.resolve().is_relative_to(Path(source).resolve()):
        raise DataError(
            f"lies in the data set {source} itself",
            where=str(target),
            remedy="name a new folder beside it",
        )


def _by_split(pages: Sequence[Page]) -> dict[str, list[Page]]:
    splits: dict[str, list[Page]] = defaultdict(list)
    for page in pages:
        splits[split_of(page.name)].append(page)
    return splits


def _write_split(pages: Sequence[Page], folder: Path, to: OutputFormat) -> None:
    (folder / IMAGES).mkdir(parents=True)
    for page in pages:
        shutil.copyfile(page.image, folder / IMAGES / _file_name(page))
    if to is OutputFormat.ICDAR:
        for name, content in _icdar_files(pages).items():
            write_atomically(folder / GROUND_TRUTH / name, content.encode())
        return
    images = {_file_name(page): (image_size(page.image), page.boxes) for page in pages}
    if to is OutputFormat.WORDS:
        write_words_json(folder / WORDS_JSON, images)
    elif to is OutputFormat.COCO:
        write_atomically(folder / COCO_JSON, format_coco(images).encode())
    elif to is OutputFormat.PPOCR_LABEL:
        lines = (format_line(f"{IMAGES}/{name}", boxes) for name, (_, boxes) in images.items())
        write_atomically(folder / LABEL_TXT, "".join(lines).encode())
    else:
        for name, (size, boxes) in images.items():
            beside = folder / IMAGES / Path(name).stem
            _write_beside(beside, ArchivePage(name, size, boxes), to)


def _write_beside(stem: Path, page: ArchivePage, to: OutputFormat) -> None:
    """A file beside its image."""
    if to is OutputFormat.LABELME:
        suffix, content = ".json", format_labelme(page.image, page.size, page.boxes).encode()
    else:
        suffix, content = archive_suffix(to), format_archive(to, page)
    write_atomically(stem.with_name(stem.name + suffix), content)


def _file_name(page: Page) -> str:
    """The name of the image's file, which every format can hold."""
    name = page.image.name
    return name if is_utf8(name) else readable(name).replace("\\", "_")


def _icdar_files(pages: Sequence[Page]) -> dict[str, str]:
    """By file name what is written there.

    Raises:
        DataError: texts of some pages cannot be written; the first few are named.
    """
    found: dict[str, str] = {}
    refused: list[str] = []
    for page in pages:
        try:
            found[f"{Path(_file_name(page)).stem}.txt"] = format_icdar(page.boxes)
        except ValueError as error:
            refused.append(f"\n    {page.name}: {error}")
    if refused:
        more = f"\n    and {len(refused) - _SHOWN} more pages" if len(refused) > _SHOWN else ""
        raise DataError(
            "ICDAR's lines cannot hold all texts:" + "".join(refused[:_SHOWN]) + more,
            remedy="write a words JSON instead (`--to words`), or change the texts",
        )
    return found


def _write_index(pages: Sequence[Page], path: Path) -> None:
    """Write the groups, and what of a flat data set is held out, where there is either."""
    if not any(page.group or (page.held_out and not split_of(page.name)) for page in pages):
        return
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["split", "name", "group"])
    writer.writerows([_part(page), _file_name(page), page.group or ""] for page in pages)
    write_atomically(path, table.getvalue().encode())


def _part(page: Page) -> str:
    return split_of(page.name) or ("val" if page.held_out else "")
