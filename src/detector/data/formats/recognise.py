"""Which files of a folder hold labels, and in which format: by their content, never by their place.
Nothing is guessed: files that two formats fit are an error that says how to choose."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from detector.data.formats.aihub import AIHUB
from detector.data.formats.annotation import MALFORMED
from detector.data.formats.coco import COCO, COCO_TEXT
from detector.data.formats.doctr import DOCTR
from detector.data.formats.hiertext import HIERTEXT
from detector.data.formats.label_file import LabelFile
from detector.data.formats.label_studio import LABEL_STUDIO
from detector.data.formats.labelme import LABELME
from detector.data.formats.labels import Entry, Format
from detector.data.formats.lines import DIALECTS, Dialect, dialect_of, looks_like_lines
from detector.data.formats.lines import SUFFIXES as LINE_SUFFIXES
from detector.data.formats.ppocr_label import PPOCR_LABEL
from detector.data.formats.receipts_json import CORD, FUNSD, WILD_RECEIPT
from detector.data.formats.via import VIA
from detector.data.formats.words_json import WORDS_JSON
from detector.data.formats.xml_labels import CTW1500_XML, CVAT, PASCAL_VOC
from detector.errors import DataError
from detector.wording import counted

FORMATS = (
    WORDS_JSON,
    PPOCR_LABEL,
    LABELME,
    COCO,
    COCO_TEXT,
    DOCTR,
    LABEL_STUDIO,
    CVAT,
    FUNSD,
    CORD,
    WILD_RECEIPT,
    AIHUB,
    CTW1500_XML,
    PASCAL_VOC,
    VIA,
    HIERTEXT,
)
_BY_KEY: dict[str, Format | Dialect] = {f.key: f for f in (*DIALECTS, *FORMATS)}
FORMAT_KEYS = tuple(sorted(_BY_KEY))
"""What `data.format` may be."""
SUFFIXES = frozenset({".txt", ".gt", ".json", ".jsonl", ".xml"})
"""Lower-case file name endings of files that may hold labels."""


@dataclass
class Recognised:
    """What the files of a folder hold.

    Attributes:
        by_format: the files of each format.
        unread: files that hold no labels, with what is wrong where one of them ought to.
    """

    by_format: dict[Format | Dialect, list[LabelFile]] = field(default_factory=dict)
    unread: list[tuple[LabelFile, DataError | None]] = field(default_factory=list)

    def format_of(self, file: LabelFile) -> Format | Dialect:
        """The format of one of the files."""
        return next(kind for kind, files in self.by_format.items() if file in files)

    def files(self) -> Counter[str]:
        """How many files there are of each format, by its title."""
        return Counter({kind.title: len(files) for kind, files in self.by_format.items()})


def entries_of(parts: Sequence[Recognised]) -> list[list[Entry]]:
    """The annotations of all images of each part of a data set. A format reads the files of all
    parts together, so that its labels mean the same in each.

    Raises:
        DataError: a file is not written as its format has it.
    """
    by_format: dict[Format | Dialect, dict[LabelFile, None]] = defaultdict(dict)
    for part in parts:
        for kind, files in part.by_format.items():
            by_format[kind].update(dict.fromkeys(files))
    by_file: dict[LabelFile, list[Entry]] = defaultdict(list)
    for kind, all_files in by_format.items():
        for entry in _entries(kind, list(all_files)):
            by_file[entry.file].append(entry)
    return [
        [entry for files in part.by_format.values() for file in files for entry in by_file[file]]
        for part in parts
    ]


def _entries(kind: Format | Dialect, files: Sequence[LabelFile]) -> list[Entry]:
    try:
        entries = list(kind.read(files))
        for file in files:
            file.forget()
        return entries
    except MALFORMED as error:
        raise DataError(
            f"not written as {kind.title} has it: {error}",
            where=_first_malformed(kind, files).name,
            remedy="export the labels again, or mend the file",
        ) from error


def _first_malformed(kind: Format | Dialect, files: Sequence[LabelFile]) -> LabelFile:
    for file in files:
        try:
            list(kind.read([file]))
        except MALFORMED:
            return file
    return files[0]


def _claims(kind: Format, file: LabelFile) -> bool:
    try:
        return kind.claims(file)
    except MALFORMED:
        return False


def in_words(files: Mapping[str, int]) -> str:
    """What was recognised, by how many files there are of each format's title."""
    return " and ".join(f"{title} ({counted(count, 'file')})" for title, count in files.items())


def recognise(files: Sequence[LabelFile], key: str | None = None) -> Recognised:
    """Look at all files and find the format of each.

    Args:
        files: of one split.
        key: the format that they are to be of; others are left out.

    Raises:
        DataError: two formats fit a file, or there is no format of that name.
    """
    found = Recognised()
    lines: list[LabelFile] = []
    for file in files:
        try:
            kinds = [kind for kind in FORMATS if _claims(kind, file)]
            is_lines = not kinds and looks_like_lines(file)
        except DataError as error:
            found.unread.append((file, error))
            continue
        if len(kinds) > 1:
            raise _fits_several(file, [kind.title for kind in kinds])
        if kinds:
            found.by_format.setdefault(kinds[0], []).append(file)
        elif is_lines or (file.image and file.path.suffix.lower() in LINE_SUFFIXES):
            lines.append(file)
        else:
            found.unread.append((file, None))
    if lines:
        kind = _BY_KEY.get(key or "")
        found.by_format[kind if isinstance(kind, Dialect) else dialect_of(lines)] = lines
    return found if key is None else _only(found, require_format(key))


def require_format(key: str) -> Format | Dialect:
    """The format of a name.

    Raises:
        DataError: there is none.
    """
    if key not in _BY_KEY:
        raise DataError(
            f"there is no format {key!r}",
            where="data.format",
            remedy=f"one of {', '.join(FORMAT_KEYS)}; or leave it out, and the files say it",
        )
    return _BY_KEY[key]


def _only(found: Recognised, kind: Format | Dialect) -> Recognised:
    others = [
        (file, None) for other, files in found.by_format.items() if other != kind for file in files
    ]
    return Recognised(
        {kind: found.by_format[kind]} if kind in found.by_format else {}, [*found.unread, *others]
    )


def _fits_several(file: LabelFile, titles: Sequence[str]) -> DataError:
    return DataError(
        f"may be {' or '.join(titles)}",
        where=file.name,
        remedy="set data.format to the one that it is",
    )
