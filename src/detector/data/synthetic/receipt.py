"""What stands on a synthetic receipt: shops, and the flat print with the box of every word.

The paper is perfectly flat and clean here; creases, light and cameras are the photograph's part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

MARGIN = 22
MAX_LENGTH = 1150
"""Longest receipt, in pixels; the goods are cut to fit."""
FOOTER_LENGTH = 420
"""What totals, thanks and the small print take at most."""

_WORDS = yaml.safe_load((files(__package__) / "words.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Shop:
    """What the receipts of one shop have in common.

    Attributes:
        width: of the paper, pixels.
        size: of the body's font, pixels.
        pitch: width of a character cell as a fraction of `size`; 0 for proportional spacing.
        leading: distance of two lines as a fraction of `size`.
        capitals: whether the goods are printed in capitals.
    """

    name: str
    address: tuple[str, ...]
    width: int
    size: int
    pitch: float
    leading: float
    capitals: bool
    currency: str


@dataclass(frozen=True)
class PrintedText:
    """A word or a line, and its ink's tight box (left, top, right, bottom), pixels of the flat
    print."""

    text: str
    box: tuple[int, int, int, int]

    @classmethod
    def around(cls, text: str, boxes: Sequence[tuple[int, int, int, int]]) -> "PrintedText":
        """A text whose parts have these boxes."""
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        return cls(text, (min(lefts), min(tops), max(rights), max(bottoms)))


@dataclass(frozen=True)
class FlatPrint:
    """The print before it was photographed.

    Attributes:
        ink: (H, W) uint8, 0 for bare paper, 255 for full ink.
        lines: the words of every line of text, a column's entry being a line of its own; rules and
            bar codes are ink without a word.
    """

    ink: NDArray[np.uint8]
    lines: tuple[tuple[PrintedText, ...], ...]


def found_shop(number: int, rng: np.random.Generator) -> Shop:
    """The shop of that number: the first 128 have names of their own, later ones a suffix."""
    names, trades = _WORDS["names"], _WORDS["trades"]
    generation, place = divmod(number, len(names) * len(trades))
    row, column = divmod(place, len(names))
    # Shifted by one a row, so that neighbours differ in both parts of the name.
    first, trade = names[column], trades[(column + row) % len(trades)]
    suffix = f" {generation + 1}" if generation else ""
    monospaced = rng.random() < 0.4
    return Shop(
        name=f"{first} {trade}{suffix}",
        address=(
            f"{rng.integers(1, 200)} {rng.choice(_WORDS['streets'])}",
            f"{rng.integers(10000, 99999)} {first}ton",
            f"Tel: {rng.integers(1, 9):02d}-{rng.integers(10**6, 10**7)}",
            f"(Tax No. {rng.integers(10**8, 10**9)})",
        ),
        width=int(rng.integers(430, 560)),
        size=int(rng.integers(18, 21)) if monospaced else int(rng.integers(19, 25)),
        pitch=0.66 if monospaced else 0.0,
        leading=float(rng.uniform(1.2, 1.5)),
        capitals=bool(rng.random() < 0.4),
        currency=str(rng.choice(["", "", "$", "EUR "])),
    )


def print_receipt(shop: Shop, rng: np.random.Generator, *, dense: bool) -> FlatPrint:
    """One receipt of `shop`; a dense one has small type, many goods and a paragraph at its foot."""
    paper = _Paper(shop, dense)
    _print_header(paper, shop, rng)
    total = _print_goods(paper, shop, rng, dense)
    _print_totals(paper, shop, rng, total)
    _print_footer(paper, rng, dense)
    return paper.finish()


def _print_header(paper: "_Paper", shop: Shop, rng: np.random.Generator) -> None:
    if rng.random() < 0.25:
        paper.logo()
    paper.centre(shop.name.upper() if shop.capitals else shop.name, scale=1.5, bold=True)
    for line in shop.address:
        paper.centre(line)
    paper.gap()
    day = f"{rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}/20{rng.integers(18, 27)}"
    paper.row(day, f"{rng.integers(7, 22):02d}:{rng.integers(0, 60):02d}")
    paper.row(f"Receipt: {rng.integers(10**4, 10**6)}", f"Till {rng.integers(1, 9):02d}")
    paper.rule(rng)


def _print_goods(paper: "_Paper", shop: Shop, rng: np.random.Generator, dense: bool) -> float:
    """Print the goods; returns what they cost."""
    paper.row("Description", "Amount")
    paper.rule(rng)
    total = 0.0
    for _ in range(rng.integers(14, 30) if dense else rng.integers(3, 12)):
        if paper.cursor > MAX_LENGTH - FOOTER_LENGTH:
            break
        count, price = int(rng.integers(1, 5)), float(rng.integers(5, 800)) / 20
        name = str(rng.choice(_WORDS["goods"]))
        if rng.random() < 0.4:
            name = f"{rng.choice(_WORDS['qualities'])} {name}"
        name = name.upper() if shop.capitals else name
        total += count * price
        if rng.random() < 0.35:
            paper.row(name, "")
            paper.row(f"   {count} x {price:,.2f}", f"{count * price:,.2f}", indent=2)
        else:
            paper.row(f"{count} {name}", f"{count * price:,.2f}")
    paper.rule(rng)
    return total


def _print_totals(paper: "_Paper", shop: Shop, rng: np.random.Generator, total: float) -> None:
    tax = total * 0.06
    paper.row("Sub-Total", f"{total - tax:,.2f}")
    paper.row("Tax (6%)", f"{tax:,.2f}")
    paper.row(
        "TOTAL", f"{shop.currency}{total:,.2f}", scale=float(rng.choice([1.2, 1.4])), bold=True
    )
    if rng.random() < 0.5:
        paid = np.ceil(total / 10) * 10
        paper.row("Cash", f"{paid:,.2f}")
        paper.row("Change", f"{paid - total:,.2f}")
    else:
        paper.row(f"Card **** {rng.integers(1000, 10000)}", f"{total:,.2f}")
    paper.rule(rng)


def _print_footer(paper: "_Paper", rng: np.random.Generator, dense: bool) -> None:
    paper.gap()
    paper.centre(str(rng.choice(_WORDS["thanks"])))
    if dense:
        sentences = _WORDS["small_print"]
        text = " ".join(sentences[: int(rng.integers(2, len(sentences) + 1))])
        paper.paragraph(text.split(), scale=0.85)
    if rng.random() < 0.4:
        paper.gap()
        paper.barcode(rng)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


@dataclass(frozen=True)
class _Glyphs:
    """A piece of print, cut tight to its ink; `left` and `top` are relative to its origin."""

    mask: Image.Image
    left: int
    top: int
    advance: float


@lru_cache(maxsize=4096)
def _glyphs(text: str, size: int, bold: bool) -> _Glyphs:
    font, stroke = _font(size), size / 28 if bold else 0
    # The font's own box has its side bearings in it, so the ink itself is measured.
    room, advance = 2 * size, font.getlength(text)
    canvas = Image.new("L", (room * 2 + round(advance), room * 2), 0)
    ImageDraw.Draw(canvas).text(
        (room, room), text, fill=255, font=font, anchor="ls", stroke_width=stroke
    )
    ink = canvas.getbbox()
    assert ink is not None, f"the font has no ink for {text!r}"
    return _Glyphs(canvas.crop(ink), ink[0] - room, ink[1] - room, advance)


class _Paper:
    """A strip of paper that is printed from the top down; remembers the words of every line."""

    def __init__(self, shop: Shop, dense: bool):
        self._size = 16 if dense else shop.size
        self._pitch = shop.pitch
        self._leading = 1.15 if dense else shop.leading
        self._width = shop.width
        self._image = Image.new("L", (shop.width, MAX_LENGTH + FOOTER_LENGTH), 0)
        self._draw = ImageDraw.Draw(self._image)
        self._lines: list[tuple[PrintedText, ...]] = []
        self.cursor = MARGIN + 10

    def finish(self) -> FlatPrint:
        ink = np.asarray(self._image)[: self.cursor + MARGIN]
        return FlatPrint(ink.copy(), tuple(self._lines))

    def gap(self) -> None:
        self.cursor += self._size // 2

    def centre(self, text: str, *, scale: float = 1.0, bold: bool = False) -> None:
        font, words = _font(round(self._size * scale)), text.split()
        while self._length(words, font) > self._width - 2 * MARGIN:
            words = words[:-1]
        baseline = self._next_line(font)
        self._type(words, (self._width - self._length(words, font)) / 2, baseline, font, bold)

    def row(
        self, left: str, right: str, *, scale: float = 1.0, bold: bool = False, indent: int = 0
    ) -> None:
        """`left` and `right` on one line; `left` loses the words that do not fit."""
        font = _font(round(self._size * scale))
        words, right_words = left.split(), right.split()
        start = MARGIN + indent * self._size
        right_start = self._width - MARGIN - self._length(right_words, font)
        while words and start + self._length(words, font) > right_start - self._size:
            words = words[:-1]
        baseline = self._next_line(font)
        self._type(words, start, baseline, font, bold)
        self._type(right_words, right_start, baseline, font, bold)

    def paragraph(self, words: Sequence[str], *, scale: float) -> None:
        font, line = _font(round(self._size * scale)), list[str]()
        self.gap()
        for word in words:
            if self._length([*line, word], font) > self._width - 2 * MARGIN:
                self._type(line, MARGIN, self._next_line(font), font, bold=False)
                line = []
            line.append(word)
        self._type(line, MARGIN, self._next_line(font), font, bold=False)

    def rule(self, rng: np.random.Generator) -> None:
        """A solid or dashed line: looks like print and is not text."""
        y = self.cursor + self._size // 2
        dash = int(rng.choice([4, 9, self._width]))
        for x in range(MARGIN, self._width - MARGIN, dash + 5):
            self._draw.line((x, y, min(x + dash, self._width - MARGIN), y), fill=255, width=2)
        self.cursor += self._size

    def logo(self) -> None:
        centre, radius = self._width // 2, 34
        box = (centre - 2 * radius, self.cursor, centre + 2 * radius, self.cursor + 2 * radius)
        self._draw.ellipse(box, fill=230)
        self._draw.polygon(
            [(centre - 30, box[3] - 16), (centre, box[1] + 12), (centre + 30, box[3] - 16)], fill=0
        )
        self.cursor = box[3] + self._size

    def barcode(self, rng: np.random.Generator) -> None:
        x, end = self._width // 5, self._width * 4 // 5
        while x < end:
            bar, space = (int(n) for n in rng.integers(1, 5, size=2))
            self._draw.rectangle((x, self.cursor, x + bar - 1, self.cursor + 50), fill=255)
            x += bar + space
        self.cursor += 52
        self.centre(str(rng.integers(10**11, 10**12)))

    def _next_line(self, font: ImageFont.FreeTypeFont) -> int:
        """Advance by one line; returns its baseline."""
        self.cursor += round(font.size * self._leading)
        return self.cursor - round(font.size * (self._leading - 0.9))

    def _advance(self, word: str, font: ImageFont.FreeTypeFont) -> float:
        if self._pitch:
            return len(word) * self._pitch * font.size
        return _glyphs(word, round(font.size), bold=False).advance

    def _space(self, font: ImageFont.FreeTypeFont) -> float:
        # The font's own space is too narrow to separate two words on a small page.
        return (self._pitch or 0.36) * font.size

    def _length(self, words: Sequence[str], font: ImageFont.FreeTypeFont) -> float:
        gaps = max(len(words) - 1, 0) * self._space(font)
        return sum(self._advance(word, font) for word in words) + gaps

    def _type(
        self,
        words: Sequence[str],
        x: float,
        baseline: int,
        font: ImageFont.FreeTypeFont,
        bold: bool,
    ) -> None:
        line = []
        for word in words:
            line.append(self._type_word(word, x, baseline, round(font.size), bold))
            x += self._advance(word, font) + self._space(font)
        if line:
            self._lines.append(tuple(line))

    def _type_word(self, word: str, x: float, baseline: int, size: int, bold: bool) -> PrintedText:
        pieces = [(_glyphs(word, size, bold), round(x))]
        if self._pitch:
            cell = self._pitch * size
            glyphs = [_glyphs(character, size, bold) for character in word]
            pieces = [
                (glyph, round(x + cell * (i + 0.5) - glyph.advance / 2))
                for i, glyph in enumerate(glyphs)
            ]
        boxes = []
        for glyph, left in pieces:
            place = (left + glyph.left, baseline + glyph.top)
            self._image.paste(255, place, glyph.mask)
            boxes.append((*place, place[0] + glyph.mask.width, place[1] + glyph.mask.height))
        return PrintedText.around(word, boxes)
