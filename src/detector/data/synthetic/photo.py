"""Photographs a flat print: curl, rotation, light, blur and noise, and where each point lands.

The geometry is a chain of shears, a rotation and a shift, so that both directions are exact:
the image is sampled by one and the word boxes are mapped by the other.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """How the photograph was taken.

    Attributes:
        degrees: rotation, clockwise.
        bend: how far the lines of text bow, pixels.
        sway: how far the paper's edges meander, pixels.
        ink: contrast of the print, 0 to 1.
        scanned: a flat white scan instead of a photograph on a table.
    """

    degrees: float
    bend: float
    sway: float
    ink: float
    scanned: bool


@dataclass(frozen=True)
class Warp:
    """From the flat print to the photograph and back.

    Attributes:
        width, height: of the flat print, pixels.
        degrees, bend, sway: as in `Look`.
        phase: where on the paper the waves begin, radians.
        shift: added last, (x, y) in pixels.
    """

    width: int
    height: int
    degrees: float = 0.0
    bend: float = 0.0
    sway: float = 0.0
    phase: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    def to_photo(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where points of the print land in the photograph; arrays of one shape."""
        x = x + self._sway_at(y)
        y = y + self._bow_at(x)
        cos, sin = self._rotation()
        return cos * x - sin * y + self.shift[0], sin * x + cos * y + self.shift[1]

    def to_print(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The inverse of `to_photo`."""
        cos, sin = self._rotation()
        x, y = x - self.shift[0], y - self.shift[1]
        x, y = cos * x + sin * y, cos * y - sin * x
        y = y - self._bow_at(x)
        return x - self._sway_at(y), y

    def _rotation(self) -> tuple[float, float]:
        angle = np.deg2rad(self.degrees)
        return float(np.cos(angle)), float(np.sin(angle))

    def _bow_at(self, x: FloatArray) -> FloatArray:
        return self.bend * np.sin(x * (np.pi / self.width) + self.phase)

    def _sway_at(self, y: FloatArray) -> FloatArray:
        return self.sway * np.sin(y * (2 * np.pi / self.height) + self.phase)


def draw_look(rng: np.random.Generator, traits: frozenset[str]) -> Look:
    """A look with the traits "rotated", "curled" and "faded"; without one, nearly none of it."""
    sign = float(rng.choice([-1, 1]))
    curled = "curled" in traits
    return Look(
        degrees=sign * rng.uniform(2, 8) if "rotated" in traits else rng.normal(0, 0.4),
        bend=sign * rng.uniform(8, 22) if curled else 0.0,
        sway=rng.uniform(3, 9) if curled else 0.0,
        ink=rng.uniform(0.22, 0.45) if "faded" in traits else rng.uniform(0.7, 0.95),
        scanned=not curled and bool(rng.random() < 0.4),
    )


def photograph(
    ink: NDArray[np.uint8], look: Look, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Warp]:
    """Photograph a print.

    Args:
        ink: (H, W) uint8, 255 where ink is.
        look: how.
        rng: draws what `look` leaves open: paper, table, light, noise.

    Returns:
        the photograph, (H', W', 3) uint8 RGB, with the whole print on it, and the way the print
        took.
    """
    warp, (width, height) = _frame(ink.shape, look, rng)
    # float32 holds a pixel's position exactly enough and halves the time.
    columns = np.arange(width, dtype=np.float32)[None, :]
    rows = np.arange(height, dtype=np.float32)[:, None]
    print_x, print_y = (np.asarray(part, np.float32) for part in warp.to_print(columns, rows))
    layers = np.dstack([_wear(ink, look, rng), np.full_like(ink, 255)])
    seen = cv2.remap(layers, print_x, print_y, cv2.INTER_LINEAR)
    printed, cover = (seen[..., i].astype(np.float32) / 255 for i in range(2))

    light = _light((height, width), look, rng)
    if warp.bend:
        light *= 1 + 0.006 * warp.bend * np.cos(print_x * (np.pi / warp.width) + warp.phase)
    table = _table((height, width), look, rng) * light * (1 - cover)
    if not look.scanned:
        table *= 1 - 0.5 * cv2.blur(cover, (31, 31))
    paper = light * cover * (1 - look.ink * printed)
    return _expose(table, paper, look, rng), warp


def _frame(
    shape: tuple[int, ...], look: Look, rng: np.random.Generator
) -> tuple[Warp, tuple[int, int]]:
    """The warp of that look, shifted so that the paper fills the photograph, and its (W, H)."""
    height, width = shape
    phase = float(rng.uniform(0, np.pi / 3)) if look.bend else 0.0
    warp = Warp(width, height, look.degrees, look.bend, look.sway, phase)
    edge = np.linspace(0, 1, 33)
    outline_x = np.concatenate([edge, edge, 0 * edge, 0 * edge + 1]) * width
    outline_y = np.concatenate([0 * edge, 0 * edge + 1, edge, edge]) * height
    x, y = warp.to_photo(outline_x, outline_y)
    left, top, right, bottom = rng.uniform(0, 32, size=4)
    size = (int(np.ptp(x) + left + right) + 1, int(np.ptp(y) + top + bottom) + 1)
    return replace(warp, shift=(float(left - x.min()), float(top - y.min()))), size


def _colors(look: Look, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """RGB of the table and of the paper, 0 to 255."""
    paper = rng.uniform(225, 252) * np.array([1, rng.uniform(0.97, 1), rng.uniform(0.9, 1)])
    table = paper * rng.uniform(0.96, 1.01) if look.scanned else rng.uniform(30, 170, size=3)
    if not look.scanned:
        # Wood, cloth and stone are never saturated.
        table = 0.75 * table.mean() + 0.25 * table
    return table, paper


def _table(shape: tuple[int, int], look: Look, rng: np.random.Generator) -> FloatArray:
    """Relative brightness of the table's surface: grain along one direction."""
    if look.scanned:
        return np.ones(shape, np.float32)
    grain = rng.normal(1, 0.12, size=(int(rng.integers(4, 24)), int(rng.integers(24, 160))))
    return _spread(grain, shape)


def _light(shape: tuple[int, int], look: Look, rng: np.random.Generator) -> FloatArray:
    """Relative brightness of the light, with a soft gradient."""
    depth = 0.03 if look.scanned else 0.2
    return _spread(1 - rng.uniform(0, depth, size=(3, 3)), shape)


def _wear(ink: NDArray[np.uint8], look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The ink as a worn print head leaves it: pale stripes along the paper."""
    wear = 0.35 if look.ink < 0.5 else 0.12
    stripes = _spread(1 - rng.uniform(0, wear, size=(1, 9)), (1, ink.shape[1]))
    return np.clip(ink * stripes, 0, 255).astype(np.uint8)


def _spread(coarse: FloatArray, shape: tuple[int, int]) -> FloatArray:
    height, width = shape
    spread = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(spread, np.float32)


def _expose(
    table: FloatArray, paper: FloatArray, look: Look, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Lens blur, color and sensor noise, then 8 bits."""
    blur, noise = float(rng.uniform(0.4, 1.1)), np.float32(rng.uniform(1, 6))
    soft_table, soft_paper = (cv2.GaussianBlur(layer, (0, 0), blur) for layer in (table, paper))
    grain = rng.standard_normal(table.shape, dtype=np.float32) * noise
    channels = [
        cv2.addWeighted(soft_table, float(table_color), soft_paper, float(paper_color), 0) + grain
        for table_color, paper_color in zip(*_colors(look, rng), strict=True)
    ]
    return np.dstack([np.clip(channel, 0, 255).astype(np.uint8) for channel in channels])
