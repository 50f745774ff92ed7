"""What a format gives of its files: the annotation of each image, by what the file calls it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from detector.data.formats.annotation import Annotation
from detector.data.formats.label_file import LabelFile

_MOST_CLASSES = 10
_FEWEST_OF_ONE = 3
_FEWEST_OF_SEVERAL = 10
"""How often the label of a class stands in a data set, on average."""


def are_classes(labels: Iterable[object]) -> bool:
    """Whether the labels of all boxes of a data set name classes, and are no transcriptions: few
    labels that stand there often. Words of pages hardly repeat so.

    >>> are_classes(["text"] * 3), are_classes(["printed", "written"] * 10)
    (True, True)
    >>> are_classes(["TOTAL", "2.50", "2.50"])
    False
    """
    counts = Counter(map(str, labels))
    fewest = _FEWEST_OF_ONE if len(counts) == 1 else _FEWEST_OF_SEVERAL
    return 0 < len(counts) <= _MOST_CLASSES and counts.total() >= fewest * len(counts)


@dataclass(frozen=True)
class Entry:
    """The annotation of one image.

    Attributes:
        image: what the file calls the image: a name, a path, or a name without its ending. Empty
            where the file's own name says whose labels it holds.
        annotation: its boxes.
        file: that it stands in.
    """

    image: str
    annotation: Annotation
    file: LabelFile


@dataclass(frozen=True)
class Format:
    """One way in which labels are written.

    Attributes:
        key: its name in `data.format` and `--format`.
        title: its name in messages.
        claims: whether a file is of this format, by its content.
        read: the entries of all its files together, since some things are only known of all.
    """

    key: str
    title: str
    claims: Callable[[LabelFile], bool]
    read: Callable[[Sequence[LabelFile]], Iterable[Entry]]
