"""What can be wrong with the outlines on one page. Nothing is mended or clipped here: an outline is
used as it was annotated, or it is an error."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from detector.data.page import TextBox
from detector.data.problem import Level

_MIN_AREA = 1e-6


def box_problems(
    boxes: Sequence[TextBox], size: tuple[float, float]
) -> list[tuple[int, Level, str]]:
    """The problems of a page's boxes as (index of the box, level, reason), by index.

    Errors: an outline that crosses itself, encloses no area, or lies wholly outside the image.
    Warnings: an outline partly outside the image (it is kept as annotated: target maps end at the
    image's border, and scores stay those of the annotation), one that runs anti-clockwise, and one
    that repeats an earlier one.

    Args:
        boxes: the boxes of one page.
        size: width and height of the upright image; infinite where it is not known.
    """
    if not boxes:
        return []
    found: list[tuple[int, Level, str]] = []
    polygons = np.array([shapely.Polygon(box.points) for box in boxes], dtype=object)
    bounds = np.array([(*b.points.min(axis=0), *b.points.max(axis=0)) for b in boxes])
    # An outline without area has its points on a line, which is_valid calls crossing too.
    empty = (shapely.area(shapely.convex_hull(polygons)) < _MIN_AREA).tolist()
    crossing = (~shapely.is_valid(polygons)).tolist()
    # Clockwise on a screen, where y grows downwards, is counter-clockwise to shapely.
    clockwise = shapely.is_ccw(shapely.get_exterior_ring(polygons)).tolist()
    seen: set[bytes] = set()
    for i, box in enumerate(boxes):
        outside = _outside(bounds[i], size)
        if empty[i]:
            found.append((i, "error", "the outline encloses no area"))
        elif crossing[i]:
            found.append((i, "error", "the outline crosses or touches itself"))
        elif outside == np.inf:
            found.append(
                (i, "error", f"the box lies outside the image, {size[0]}x{size[1]} pixels")
            )
        else:
            if outside > 0:
                found.append((i, "warning", f"the box reaches {outside:g} pixels over the border"))
            if not clockwise[i]:
                found.append((i, "warning", "the outline runs anti-clockwise"))
            if box.points.tobytes() in seen:
                found.append((i, "warning", "an earlier box has the same outline"))
            seen.add(box.points.tobytes())
    return found


def as_dont_care(box: TextBox, size: tuple[float, float]) -> TextBox | None:
    """A region that holds a bad box and counts for nothing; None where it has no area on the page.

    Args:
        box: of any outline.
        size: width and height of the upright image.
    """
    page = shapely.box(0, 0, *size)
    region = shapely.MultiPoint(box.points).convex_hull.intersection(page)
    if not isinstance(region, shapely.Polygon) or region.area < _MIN_AREA:
        return None
    ring = np.asarray(region.exterior.coords, np.float64)[:-1]
    # Clockwise on a screen, where y grows downwards.
    return TextBox(ring if region.exterior.is_ccw else ring[::-1], ignore=True)


def _outside(bounds: NDArray[np.float64], size: tuple[float, float]) -> float:
    """By how many pixels a bounding box leaves the image; infinity if it is nowhere inside."""
    left, top, right, bottom = bounds.tolist()
    width, height = size
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return float(np.inf)
    return float(max(-left, -top, right - width, bottom - height, 0))
