"""What a data set is made of: pages and the text boxes on them. Plain values, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True)
class TextBox:
    """The outline of one piece of text.

    Attributes:
        points: (V, 2) float64, x and y in pixels of the upright image, V >= 3. A quad has its
            corners clockwise from the text's own top left.
        text: the transcription; None where the annotation has none.
        ignore: True for "don't care" text (`###`): neither rewarded nor punished.
        score: how certain a model is of it, from 0 to 1; None of what a person has drawn.
    """

    points: NDArray[np.float64]
    text: str | None = None
    ignore: bool = False
    score: float | None = None


@dataclass(frozen=True)
class Page:
    """One labelled image.

    Attributes:
        name: the image's path below the data set's root, with `/` between folders; unique.
        image: where the image file lies.
        boxes: its text, in the order of the annotation.
        held_out: True for a page that nothing is trained on and no configuration is chosen by: it
            measures finished models.
        group: pages of one group (receipts of one shop) are never split between folds.
    """

    name: str
    image: Path
    boxes: tuple[TextBox, ...]
    held_out: bool = False
    group: str | None = None


def taken_evenly(items: Sequence[T], most: int) -> list[T]:
    """As many of the items as `most`, from the first on at even distances; all if they are fewer.

    >>> taken_evenly("abcdef", 3), taken_evenly("ab", 3)
    (['a', 'c', 'e'], ['a', 'b'])
    """
    count = min(most, len(items))
    return [items[i * len(items) // count] for i in range(count)]
