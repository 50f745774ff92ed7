"""What a reader of annotations gives: the boxes, where each was written, and what was wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.data.page import TextBox

DONT_CARE = "###"
"""The transcription that marks text which counts for nothing. `*` is a printed character."""

Place = int | str
"""A line number, or the id of a word."""

_LARGEST_COORDINATE = 1e9


@dataclass
class Annotation:
    """The text of one image, as far as it could be read.

    Attributes:
        boxes: in the order of the file.
        places: where each box was written.
        faults: the entries that are no boxes, with the reason.
        declared_size: width and height of the image as the annotation gives them, if it does.
    """

    boxes: list[TextBox] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    faults: list[tuple[Place, str]] = field(default_factory=list)
    declared_size: tuple[int, int] | None = None


class BadEntryError(ValueError):
    """One entry of an annotation file is no box; a reader turns it into one of the faults."""


def outline(values: Sequence[float]) -> NDArray[np.float64]:
    """(V, 2) points from x and y in turn.

    Raises:
        BadEntryError: there are fewer than 3 points, or a value is not finite or beyond any image.
    """
    if len(values) < 6:
        raise BadEntryError(f"{len(values) // 2} points where an outline has at least 3")
    # Written so that NaN fails too, and an int too large for a float is never converted.
    if not all(abs(value) <= _LARGEST_COORDINATE for value in values):
        raise BadEntryError("a coordinate is not finite, or beyond any image")
    return np.array(values, dtype=np.float64).reshape(-1, 2)


def refuse_reserved_text(box: TextBox) -> None:
    """Raise ValueError for a box whose text would be read back as "don't care"."""
    if not box.ignore and box.text is not None and box.text.strip() == DONT_CARE:
        raise ValueError(f"the text {DONT_CARE!r} means don't care, but the box is not ignored")
