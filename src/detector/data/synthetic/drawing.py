"""Draws a data set of synthetic receipts: no downloads, the same bytes for the same seed.

For quick starts, examples and tests. It makes no claim to stand in for receipts of the world.
"""

import csv
import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.data.page import TextBox
from detector.data.synthetic import LabelledBy
from detector.data.synthetic.photo import Warp, draw_look, photograph
from detector.data.synthetic.receipt import PrintedText, Shop, found_shop, print_receipt
from detector.errors import DataError

TRAITS = ("rotated", "curled", "faded", "dense")
PAGES_PER_SHOP = 4
_POINTS_OF_A_LINE = 17
"""Along each edge: enough to follow the paper's curl."""


@dataclass(frozen=True)
class Receipt:
    """A drawn receipt.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: a quad for each line or word, tight on its ink; in reading order.
        shop: the shop's name.
        traits: which of `TRAITS` it shows.
    """

    image: NDArray[np.uint8]
    boxes: tuple[TextBox, ...]
    shop: str
    traits: frozenset[str]


def draw_receipts(
    out_dir: Path,
    *,
    train: int,
    held_out: int,
    seed: int,
    by: LabelledBy = LabelledBy.LINES,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Write a data set: `train` and `val` (held out), each with `images` and `gt`, and `index.csv`.

    No shop has receipts in both parts; the index names each page's shop in its column `group`.
    The folder appears at once, when the last page is drawn.

    Args:
        on_progress: called after each page, with how many are drawn and how many there will be.

    Raises:
        DataError: `out_dir` exists and has files in it, or there is nothing to draw.
    """
    if train < 1 or held_out < 0:
        raise DataError(
            f"cannot draw {train} training and {held_out} held-out pages",
            remedy="ask for 1 training page or more, and 0 held-out ones or more",
        )
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise DataError(
            "there is something here already",
            where=str(out_dir),
            remedy="name a new folder, or remove this one",
        )
    unfinished = out_dir.with_name(f".{out_dir.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    parts = chain(
        _draw_part(unfinished / "train", train, seed, by, first_page=0),
        # The held-out part goes on where the training part's last shop ended.
        _draw_part(unfinished / "val", held_out, seed, by, first_page=_whole_shops(train)),
    )
    rows = []
    for row in parts:
        rows.append(row)
        on_progress(len(rows), train + held_out)
    index = io.StringIO(newline="")
    writer = csv.writer(index, lineterminator="\n")
    writer.writerow(["split", "name", "width", "height", "boxes", "group"])
    writer.writerows(rows)
    (unfinished / "index.csv").write_bytes(index.getvalue().encode())
    unfinished.replace(out_dir)


def draw_receipt(number: int, seed: int, by: LabelledBy = LabelledBy.LINES) -> Receipt:
    """Receipt `number` of the endless series of `seed`; each is drawn on its own.

    Every fifth receipt has no trait of its own, the four after it one each, so that any handful
    of neighbours shows them all; further traits come by chance.
    """
    rng = np.random.default_rng([seed, 0, number])
    traits = frozenset(
        trait
        for i, trait in enumerate(TRAITS)
        if number % (len(TRAITS) + 1) == i + 1 or rng.random() < 0.15
    )
    shop = _shop(number, seed)
    flat = print_receipt(shop, rng, dense="dense" in traits)
    image, warp = photograph(flat.ink, draw_look(rng, traits), rng)
    if by is LabelledBy.WORDS:
        boxes = [_word_box(word, warp) for line in flat.lines for word in line]
    else:
        boxes = [_line_box(line, warp) for line in flat.lines]
    return Receipt(image, tuple(boxes), shop.name, traits)


def _shop(page: int, seed: int) -> Shop:
    number = page // PAGES_PER_SHOP
    return found_shop(number, np.random.default_rng([seed, 1, number]))


def _whole_shops(pages: int) -> int:
    return -(-pages // PAGES_PER_SHOP) * PAGES_PER_SHOP


def _word_box(word: PrintedText, warp: Warp) -> TextBox:
    left, top, right, bottom = word.box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    return TextBox(_photographed(corners, warp), text=word.text)


def _line_box(line: Sequence[PrintedText], warp: Warp) -> TextBox:
    """The least rectangle around a line, which may be bent, from its top left corner clockwise."""
    whole = PrintedText.around(" ".join(word.text for word in line), [word.box for word in line])
    left, top, right, bottom = whole.box
    x = np.linspace(left, right, _POINTS_OF_A_LINE)
    edges = np.array([[(at, y) for at in x] for y in (top, bottom)], np.float64).reshape(-1, 2)
    rectangle = cv2.boxPoints(cv2.minAreaRect(_photographed(edges, warp).astype(np.float32)))
    first = _photographed(np.array([[left, top]], np.float64), warp)
    begin = int(np.linalg.norm(rectangle - first, axis=1).argmin())
    return TextBox(np.roll(rectangle, -begin, axis=0).astype(np.float64), text=whole.text)


def _photographed(points: NDArray[np.float64], warp: Warp) -> NDArray[np.float64]:
    """Where (N, 2) points of the print land."""
    return np.stack(warp.to_photo(points[:, 0], points[:, 1]), axis=1).astype(np.float64)


def _draw_part(
    folder: Path, count: int, seed: int, by: LabelledBy, *, first_page: int
) -> list[tuple[str, str, int, int, int, str]]:
    """Draw `count` pages into `folder`; returns their rows of the index."""
    (folder / "images").mkdir(parents=True)
    (folder / "gt").mkdir()
    rows = []
    for i in range(count):
        number, name = first_page + i, f"receipt_{i + 1:04d}"
        receipt = draw_receipt(number, seed, by)
        quality = int(np.random.default_rng([seed, 2, number]).integers(60, 96))
        Image.fromarray(receipt.image).save(folder / "images" / f"{name}.jpg", quality=quality)
        lines = [_icdar_line(box) for box in receipt.boxes]
        (folder / "gt" / f"{name}.txt").write_bytes(("\n".join(lines) + "\n").encode())
        height, width = receipt.image.shape[:2]
        rows.append((folder.name, name, width, height, len(lines), receipt.shop))
    return rows


def _icdar_line(box: TextBox) -> str:
    numbers = ",".join(str(int(value)) for value in np.rint(box.points).ravel())
    return f"{numbers},{box.text}"
