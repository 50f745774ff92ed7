"""Pages that show the same picture: one that was scaled, made lighter or saved again. A model that
was trained on one of them is measured too well on the other.

A page's look is a small grey copy of it. A perceptual hash of 64 bits finds the pairs that may be
of one picture. Whether they are is decided by how well their details agree: pages of one kind have
nearly the same hash, as receipts do, a narrow column of text on white. Measured on 232 receipts,
199 forms and 152 drawn receipts: the hash of a page and of its copy (half its size, JPEG of quality
40, lighter, with noise) differ in up to 6 bits, and their details agree by 0.98 and more; those of
different pages, whose hashes are as near, by up to 0.75. A page that lost a border is not found.
"""

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.console import say
from detector.data.images import MAX_PIXELS, read_image
from detector.data.page import Page
from detector.data.source import cache_root
from detector.errors import DataError
from detector.pace import paced
from detector.storage.atomic import write_beside

MOST_PAGES = 50_000
"""Each pair is compared, which takes 4 s of so many."""

LEAK_REMEDY = (
    "leave it out, as `detsweep data convert --drop-bad` does, or train with "
    "data.allow_duplicates=true"
)
"""What to do about a page to train on that shows the same picture as a held-out one."""

_SIDE = 64
_ENOUGH = 4 * _SIDE
"""A JPEG is decoded at such a size: of 232 receipts in a quarter of the time, with looks that agree
with those of whole ones by 0.98 and more."""
_HASHED, _FREQUENCIES = 32, 8
"""The hash is of the lowest 8x8 frequencies of a copy of 32x32 pixels."""
_BITS_APART = 8
_SAME = 0.95
_BLUR = 2.0
_FLAT = 1.0
"""A page whose details deviate by less has none. Blank pages are alike and tell nothing."""
_PAIRS_AT_ONCE = 2**22

Look = NDArray[np.uint8]
Alike = list[tuple[str, str]]
"""Pairs of names of pages."""


def find_alike(pages: Sequence[Page], max_pixels: int = MAX_PIXELS) -> Alike:
    """The pages that show the same picture, by name. Looks are kept in the cache, so that a later
    call reads only what is new.

    Args:
        pages: of one data set. Of more than `MOST_PAGES` none is looked at, and a line says so.
        max_pixels: images with more are left out.
    """
    if len(pages) > MOST_PAGES:
        say(f"{len(pages):,} pages: copies are not looked for among more than {MOST_PAGES:,}")
        return []
    cache = _cache_of(pages)
    known = _cached(cache)
    keys = {page.name: _key(page) for page in pages}
    missing = [page for page in pages if keys[page.name] not in known]
    with ThreadPoolExecutor() as pool:
        looks = pool.map(lambda page: _read_look(page, max_pixels), missing)
        for page in paced(missing, "looking for copies of pages"):
            if (look := next(looks)) is not None:
                known[keys[page.name]] = look
    if missing:
        _keep(cache, {key: known[key] for key in keys.values() if key in known})
    return alike_by_name({name: known[key] for name, key in keys.items() if key in known})


def alike_by_name(looks: Mapping[str, Look]) -> Alike:
    """The names of any two looks that are of one picture, in their order.

    Args:
        looks: of pages, by name.
    """
    names = list(looks)
    hashes = np.array([_hash(look) for look in looks.values()], np.uint64)
    return [
        (names[i], names[j])
        for i, j in _close(hashes)
        if _agreement(looks[names[i]], looks[names[j]]) > _SAME
    ]


def leaks(pages: Sequence[Page], alike: Alike) -> dict[str, str]:
    """The pages to train on that show the same picture as a held-out one, with the latter."""
    held_out = {page.name: page.held_out for page in pages}
    found: dict[str, str] = {}
    for pair in alike:
        if pair[0] in held_out and pair[1] in held_out:
            training, measuring = sorted(pair, key=lambda name: held_out[name])
            if held_out[training] != held_out[measuring]:
                found.setdefault(training, measuring)
    return found


def leak_in_words(measuring: str) -> str:
    """What is wrong with a page to train on."""
    return f"shows the same picture as {measuring}, which is held out: scores would be too good"


def look_of(image: NDArray[np.uint8]) -> Look:
    """A small grey copy of (H, W, 3) uint8 RGB pixels."""
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _hash(look: Look) -> int:
    small = cv2.resize(look, (_HASHED, _HASHED), interpolation=cv2.INTER_AREA)
    lowest = cv2.dct(small.astype(np.float32))[:_FREQUENCIES, :_FREQUENCIES].ravel()
    # The first is the page's brightness, which says nothing of its picture.
    bits = lowest > np.median(lowest[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _close(hashes: NDArray[np.uint64]) -> list[tuple[int, int]]:
    """The pairs of hashes that differ in few bits. Of 20 000 pages, whose pairs are all
    compared, they are found in less than a second."""
    found: list[tuple[int, int]] = []
    at_once = max(1, _PAIRS_AT_ONCE // max(1, len(hashes)))
    for start in range(0, len(hashes), at_once):
        rows = hashes[start : start + at_once, None]
        differing = np.bitwise_count(rows ^ hashes[None, start:])
        pairs = np.argwhere(np.triu(differing <= _BITS_APART, 1)) + start
        found += [(int(i), int(j)) for i, j in pairs]
    return found


def _agreement(one: Look, other: Look) -> float:
    """From -1 to 1; 0 where one has no details."""
    first, second = _details(one), _details(other)
    deviations = float(first.std()), float(second.std())
    if min(deviations) < _FLAT:
        return 0.0
    return float((first * second).mean()) / (deviations[0] * deviations[1])


def _details(look: Look) -> NDArray[np.float32]:
    grey = look.astype(np.float32)
    details = grey - cv2.GaussianBlur(grey, (0, 0), _BLUR)
    return np.asarray(details - details.mean(), np.float32)


def _read_look(page: Page, max_pixels: int) -> Look | None:
    try:
        return look_of(read_image(page.image, max_pixels, at_least=_ENOUGH))
    except DataError:
        return None  # Who reads the page says what is wrong with it.


def _key(page: Page) -> str:
    try:
        stat = page.image.stat()
    except OSError:
        return page.name
    return f"{page.name} {stat.st_size} {stat.st_mtime_ns}"


def _cache_of(pages: Sequence[Page]) -> Path:
    folders = {str(page.image.parent.resolve()) for page in pages}
    where = os.path.commonpath(folders) if folders else ""
    return cache_root() / "looks" / f"{hashlib.sha256(where.encode()).hexdigest()[:16]}.npz"


def _cached(path: Path) -> dict[str, Look]:
    # A cache that is damaged, in whatever way, is made again.
    with suppress(Exception), np.load(path, allow_pickle=False) as kept:
        return dict(zip(kept["keys"].tolist(), kept["looks"], strict=True))
    return {}


def _keep(path: Path, looks: Mapping[str, Look]) -> None:
    content = io.BytesIO()
    if looks:
        np.savez(content, keys=np.array(list(looks)), looks=np.array(list(looks.values())))
        with suppress(OSError):  # It is found again, where there is no place to keep it.
            write_beside(path, content.getvalue())
