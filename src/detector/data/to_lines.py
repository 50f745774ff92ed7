"""Words joined to lines, for a detector of lines from labels of words.

Two words stand side by side in a line where, seen along the first one's own direction,

- they run in the same direction, within 15 degrees;
- their heights overlap by at least half of the lower one;
- the second begins behind the first, and the gap between them is at most the higher one's height.

Each word is joined to the nearest such word on its right, if it is the nearest on that one's left:
a tall word beside two lines belongs to one of them. Columns of a table and the price behind an item
have wider gaps, and stay apart.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from detector.data.page import TextBox

_LEAST_OVERLAP = 0.5
_WIDEST_GAP = 1.0
_SAME_DIRECTION = float(np.cos(np.deg2rad(15)))

Points = NDArray[np.float64]


def joined_to_lines(boxes: Sequence[TextBox]) -> list[TextBox]:
    """The lines of a page's words, in the order of their first words; what is don't care stays as
    it is, behind them.

    A line has the texts of its words with blanks between them, and none where a word has none. Its
    outline is the rectangle around its words along their direction; where they bend, what is convex
    around them.

    Args:
        boxes: words of one page.
    """
    words = [box for box in boxes if not box.ignore]
    lines = [_line([words[i] for i in chain]) for chain in _chains(words)]
    return lines + [box for box in boxes if box.ignore]


def _chains(words: Sequence[TextBox]) -> Iterator[list[int]]:
    """The words of each line, from its first to its last."""
    gaps = _gaps(words)
    right, left = _nearest(gaps), _nearest(gaps.T)
    follows = {i: j for i, j in enumerate(right) if j is not None and left[j] == i}
    starts = sorted(set(range(len(words))) - set(follows.values()))
    for start in starts:
        chain = [start]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        yield chain


def _nearest(gaps: Points) -> list[int | None]:
    """By row, the column of the smallest gap."""
    return [int(row.argmin()) if np.isfinite(row).any() else None for row in gaps]


def _gaps(words: Sequence[TextBox]) -> Points:
    """(n, n): how far behind a row's word the column's begins; infinite where the two are no
    neighbours in a line."""
    count = len(words)
    gaps = np.full((count, count), np.inf)
    if not count:
        return gaps
    points = np.concatenate([word.points for word in words])
    firsts = np.cumsum([0, *(len(word.points) for word in words[:-1])])
    directions = np.array([_direction(word.points) for word in words])
    alike = directions @ directions.T >= _SAME_DIRECTION
    for i, (x, y) in enumerate(directions):
        (start, end), (top, bottom) = (
            (np.minimum.reduceat(along, firsts), np.maximum.reduceat(along, firsts))
            for along in (points @ [x, y], points @ [-y, x])
        )
        height = bottom - top
        overlap = np.minimum(bottom, bottom[i]) - np.maximum(top, top[i])
        gap = start - end[i]
        fits = alike[i] & (overlap >= _LEAST_OVERLAP * np.minimum(height, height[i]))
        # By their middles, for words may overlap.
        fits &= (start + end > start[i] + end[i]) & (start > start[i])
        fits &= gap <= _WIDEST_GAP * np.maximum(height, height[i])
        gaps[i, fits] = np.abs(gap[fits])
    np.fill_diagonal(gaps, np.inf)
    return gaps


def _direction(points: Points) -> Points:
    """The unit vector along a word: along the upper edge of a quad, and to the right of other
    outlines."""
    edge = points[1] - points[0] if len(points) == 4 else np.array([1.0, 0.0])
    length = float(np.hypot(*edge))
    return edge / length if length > 0 else np.array([1.0, 0.0])


def _line(words: Sequence[TextBox]) -> TextBox:
    if len(words) == 1:
        return words[0]
    texts = [word.text for word in words if word.text is not None]
    text = " ".join(texts) if len(texts) == len(words) else None
    return TextBox(_around(words), text)


def _around(words: Sequence[TextBox]) -> Points:
    points = np.concatenate([word.points for word in words])
    directions = np.array([_direction(word.points) for word in words])
    mean = directions.sum(axis=0)
    mean /= np.hypot(*mean)
    if (directions @ mean < _SAME_DIRECTION).any():
        hull = shapely.orient_polygons(shapely.convex_hull(shapely.MultiPoint(points)))
        # Counter-clockwise to shapely is clockwise on a screen, where y grows downwards.
        return np.asarray(shapely.get_coordinates(hull)[:-1], np.float64)
    turn = np.array([mean, [-mean[1], mean[0]]])
    (left, top), (right, bottom) = (points @ turn.T).min(axis=0), (points @ turn.T).max(axis=0)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return np.asarray(corners @ turn, np.float64)
