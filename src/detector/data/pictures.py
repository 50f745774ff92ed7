"""The pictures that a person names: files, folders of them, patterns, and the pages of
a TIFF or PDF."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.data.documents import draw_pdf_page, pdf_pages
from detector.data.images import IMAGE_SUFFIXES, page_count, read_image
from detector.errors import DataError

_WILD = frozenset("*?[")
_PDF = ".pdf"
_AHEAD = 2
"""Pictures in memory beside the one that is worked on: each may have 100 million pixels."""
_OF_TOOLS = IMAGE_SUFFIXES - {".avif", ".heic", ".heif"}
"""Images that labelling tools read."""


@dataclass(frozen=True)
class Picture:
    """One page of an image file.

    Attributes:
        path: of the file.
        page: from 1 on; None where the file holds one.
    """

    path: Path
    page: int | None = None

    @property
    def name(self) -> str:
        """What results call it: the path as it was named, and the page."""
        return str(self.path) if self.page is None else f"{self.path}#{self.page}"

    @property
    def is_plain(self) -> bool:
        """Whether the file is this picture, and of a kind that any program reads."""
        return self.page is None and self.path.suffix.lower() in _OF_TOOLS

    @property
    def stem(self) -> str:
        """What files of results are named after it."""
        return self.path.stem if self.page is None else f"{self.path.stem}-{self.page}"

    def read(self, max_pixels: int) -> NDArray[np.uint8]:
        """Its pixels, upright: (H, W, 3) uint8 RGB.

        Raises:
            DataError: see `read_image` and `draw_pdf_page`.
        """
        if self.path.suffix.lower() == _PDF:
            return draw_pdf_page(self.path, (self.page or 1) - 1, max_pixels)
        return read_image(self.path, max_pixels, (self.page or 1) - 1)


def read_ahead(
    pictures: Sequence[Picture], max_pixels: int
) -> Iterator[NDArray[np.uint8] | DataError]:
    """The pixels of each picture, or why it cannot be read. The next ones are read by a thread of
    their own, while the caller works on one."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reading pictures")
    waiting: deque[Future[NDArray[np.uint8] | DataError]] = deque()
    try:
        for picture in pictures:
            waiting.append(pool.submit(_read, picture, max_pixels))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(picture: Picture, max_pixels: int) -> NDArray[np.uint8] | DataError:
    try:
        return picture.read(max_pixels)
    except DataError as error:
        return error


def find_pictures(named: Sequence[Path]) -> list[Picture]:
    """What files, folders and patterns mean, in their order; a folder's images by name.

    Raises:
        DataError: a folder holds no image, or nothing fits a pattern.
    """
    return [picture for path in named for file in _files(path) for picture in _pages(file)]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        kinds = IMAGE_SUFFIXES | {_PDF}
        files = [p for p in sorted(path.iterdir()) if p.suffix.lower() in kinds]
        files = [p for p in files if p.name[0] != "."]
        if not files:
            raise DataError(
                "holds no image", where=str(path), remedy="name a folder of images, or image files"
            )
        return files
    # A shell that finds nothing passes a pattern on; that of Windows passes on all of them.
    if not path.exists() and _WILD & set(str(path)):
        found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not found:
            raise DataError("nothing fits this pattern", where=str(path), remedy="check the path")
        return [file for file in found if file.is_file()]
    return [path]


def _pages(file: Path) -> Iterator[Picture]:
    count = _count(file)
    if count == 1:
        yield Picture(file)
    else:
        yield from (Picture(file, page) for page in range(1, count + 1))


def _count(file: Path) -> int:
    if file.suffix.lower() != _PDF:
        return page_count(file)
    try:
        return pdf_pages(file)
    except DataError:
        return 1  # Who reads it will say why it cannot be read.
