"""The workload of the target and post-processing benchmarks: outlines of words on receipts.

Nothing is rendered. A page is 1280 × 1280 and turned by up to 6 degrees; of its 65 to 175 words a
tenth are curved (10 to 14 points) and 3 % are don't-cares.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SEED = 20241124
PAGES = 50
SIZE = 1280

_MARGIN = 100
# Of the words that are long enough to bend.
_CURVED = 0.14
_IGNORED = 0.03


@dataclass(frozen=True)
class Words:
    """The words of one page.

    Attributes:
        polygons: (V, 2) float32 outlines in pixels, clockwise from the top left.
        ignore: which are don't-cares.
    """

    polygons: list[NDArray[np.float32]]
    ignore: list[bool]

    def quads(self) -> NDArray[np.float32]:
        """The outlines as (N, 4, 2), each curved one by its rectangle of least area."""
        quads = [
            polygon if len(polygon) == 4 else cv2.boxPoints(cv2.minAreaRect(polygon))
            for polygon in self.polygons
        ]
        return np.clip(np.array(quads, dtype=np.float32), 0, SIZE - 1)


def draw_pages(count: int = PAGES) -> list[Words]:
    """The first pages of the workload, the same on every machine."""
    rng = np.random.default_rng(SEED)
    return [_draw_page(rng) for _ in range(count)]


def _draw_page(rng: np.random.Generator) -> Words:
    words = int(rng.integers(65, 176))
    lines = int(np.ceil(words / rng.uniform(3, 4.5)))
    pitch = (SIZE - 2 * _MARGIN) / lines
    angle = np.deg2rad(rng.uniform(-6, 6))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    polygons = []
    for line, in_line in enumerate(np.array_split(np.arange(words), lines)):
        height = float(np.clip(pitch * rng.uniform(0.55, 0.7), 11, 40))
        letters = np.clip(1 + rng.gamma(2.2, 2.4, len(in_line)), 1, 16)
        gaps = height * rng.uniform(0.4, 1.2, len(in_line))
        widths = letters * height * rng.uniform(0.48, 0.6)
        # Lines that would leave the page are set in narrower letters.
        widths *= min(1.0, (SIZE - 2 * _MARGIN - gaps.sum()) / widths.sum())
        starts = _MARGIN + np.cumsum(gaps + widths) - widths
        for x, width in zip(starts, widths, strict=True):
            word = _draw_word(x, _MARGIN + line * pitch, width, height, rng)
            turned = (word - SIZE / 2) @ turn + SIZE / 2
            polygons.append(np.clip(turned, 0, SIZE - 1).round(1).astype(np.float32))
    return Words(polygons, (rng.random(len(polygons)) < _IGNORED).tolist())


def _draw_word(
    x: float, y: float, width: float, height: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A rectangle, or now and then a bow, along a line of print."""
    curved = width > 2 * height and rng.random() < _CURVED
    along = np.linspace(0, 1, int(rng.integers(5, 8)) if curved else 2)
    bow = height * rng.uniform(-0.7, 0.7) if curved else 0.0
    top = np.stack([x + along * width, y - bow * (1 - (2 * along - 1) ** 2)], axis=1)
    return np.concatenate([top, (top + np.array([0, height]))[::-1]])
