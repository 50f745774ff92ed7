"""What a reader of annotations gives: the boxes, where each was written, and what was wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.data.page import TextBox
from detector.names import is_utf8, readable

DONT_CARE = "###"
"""The transcription that marks text which counts for nothing. `*` is a printed character."""

TEXT_ATTRIBUTES = frozenset({"text", "transcription", "transcript", "value", "label", "ocr"})
"""What people call the attribute that holds a box's text, in lower case."""

Place = int | str
"""A line number, or the id of a word."""

MALFORMED = (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError)
"""What a reader meets in a file whose values are not where they belong."""

_LARGEST_COORDINATE = 1e9


@dataclass
class Annotation:
    """The text of one image, as far as it could be read.

    Attributes:
        boxes: in the order of the file.
        places: where each box was written.
        faults: the entries that are no boxes, with the reason.
        declared_size: width and height of the image as the annotation gives them, if it does.
        is_relative: whether points are shares of the image's width and height, from 0 to 1.
    """

    boxes: list[TextBox] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    faults: list[tuple[Place, str]] = field(default_factory=list)
    declared_size: tuple[int, int] | None = None
    is_relative: bool = False

    def add(self, place: Place, read: Callable[[], TextBox]) -> None:
        """Add the box that `read` gives. Whatever it cannot read is a fault: entries come from
        other programs, and may hold anything anywhere."""
        try:
            self.boxes.append(read())
            self.places.append(place)
        except BadEntryError as fault:
            self.faults.append((place, str(fault)))
        except MALFORMED as error:
            self.faults.append((place, f"not written as its format has it: {error}"))


class BadEntryError(ValueError):
    """One entry of an annotation file is no box; a reader turns it into one of the faults."""


def outline(values: Sequence[float]) -> NDArray[np.float64]:
    """(V, 2) points from x and y in turn.

    Raises:
        BadEntryError: there are fewer than 3 points, or a value is not finite or beyond any image.
    """
    if len(values) % 2:
        raise BadEntryError(f"{len(values)} numbers, where x and y come in pairs")
    if len(values) < 6:
        raise BadEntryError(f"{len(values) // 2} points where an outline has at least 3")
    # Written so that NaN fails too, and an int too large for a float is never converted.
    if not all(abs(value) <= _LARGEST_COORDINATE for value in values):
        raise BadEntryError("a coordinate is not finite, or beyond any image")
    return np.array(values, dtype=np.float64).reshape(-1, 2)


def in_turn(x: Any, y: Any) -> list[float]:
    """The x and y of each point in turn, from all x and all y.

    Raises:
        BadEntryError: they are no numbers, or not as many.
    """
    x, y = numbers(x), numbers(y)
    if len(x) != len(y):
        raise BadEntryError(f"has {len(x)} values of x and {len(y)} of y")
    return [value for point in zip(x, y, strict=True) for value in point]


def rectangle(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    """(4, 2) points, clockwise from the top left.

    Raises:
        BadEntryError: a value is not finite or beyond any image, or the corners are another pair.
    """
    if right < left or bottom < top:
        raise BadEntryError(
            f"its right or bottom, {right:g}, {bottom:g}, lies before its left or top, {left:g}, "
            f"{top:g}: are they a width and a height?"
        )
    return outline([left, top, right, top, right, bottom, left, bottom])


def rotated(x: float, y: float, width: float, height: float, radians: float) -> NDArray[np.float64]:
    """(4, 2) points, clockwise from the top left, of a rectangle turned clockwise about its centre.

    Raises:
        BadEntryError: a value is not finite or beyond any image.
    """
    across, down = np.array(
        [[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]]
    )
    across, down = across * width / 2, down * height / 2
    centre = np.array([x, y])
    corners = [
        centre - across - down,
        centre + across - down,
        centre + across + down,
        centre - across + down,
    ]
    return outline(np.concatenate(corners).tolist())


def text_box(points: NDArray[np.float64], text: object, ignore: bool = False) -> TextBox:
    """A box by what a file gives as its transcription: nothing and blanks are none, `###` means
    don't care.

    Raises:
        BadEntryError: the transcription is not a text.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    if text is not None and not isinstance(text, str):
        raise BadEntryError(f"the transcription {text!r} is not a text")
    if text is not None and not is_utf8(text):
        raise BadEntryError(f"the transcription {readable(text)} is no valid Unicode")
    if ignore or (text is not None and text.strip() == DONT_CARE):
        return TextBox(points, ignore=True)
    return TextBox(points, text if text and text.strip() else None)


def numbers(values: Any, count: int | None = None) -> list[float]:
    """Numbers of a file, flat, whether they are nested or written as text.

    Args:
        values: as a parser of JSON gives them.
        count: how many there have to be.

    Raises:
        BadEntryError: they are no numbers, or not as many.
    """
    flat = _flat(values)
    if count is not None and len(flat) != count:
        raise BadEntryError(f"{len(flat)} numbers where there have to be {count}")
    return flat


def _flat(values: Any) -> list[float]:
    if isinstance(values, list):
        return [number for value in values for number in _flat(value)]
    try:
        if isinstance(values, bool) or values is None:
            raise ValueError
        return [float(values)]
    except (TypeError, ValueError, OverflowError) as error:
        raise BadEntryError(f"{str(values)[:40]!r} is not a number") from error


def truth(value: object, key: str) -> bool:
    """Whether a flag is set; text such as "false" is what it says.

    Raises:
        BadEntryError: it is neither.
    """
    if isinstance(value, str):
        word = value.strip().lower()
        if word in {"", "0", "false", "no", "none", "null"}:
            return False
        if word in {"1", "true", "yes"}:
            return True
        raise BadEntryError(f"{key} is {value!r}, neither true nor false")
    return bool(value)


def refuse_reserved_text(box: TextBox) -> None:
    """Raise ValueError for a box whose text would be read back as "don't care"."""
    if not box.ignore and box.text is not None and box.text.strip() == DONT_CARE:
        raise ValueError(f"the text {DONT_CARE!r} means don't care, but the box is not ignored")
