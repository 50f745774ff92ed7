"""Pages of PDF files as pictures, by PDFium. It comes with the extra `documents`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.data.images import require_few_pixels
from detector.errors import DataError

DPI = 200
"""What pages are drawn at: letters of 8 points are 22 pixels high."""
_POINTS_PER_INCH = 72


def pdf_pages(path: Path) -> int:
    """How many pages a PDF file has.

    Raises:
        DataError: it cannot be read, or PDFium is not installed.
    """
    with _opened(path) as document:
        return len(document)


def draw_pdf_page(path: Path, number: int, max_pixels: int) -> NDArray[np.uint8]:
    """The pixels of a page: (H, W, 3) uint8 RGB, at 200 dots per inch.

    Args:
        number: from 0 on.
        max_pixels: a page of more pixels is refused before it is drawn.

    Raises:
        DataError: it cannot be read or is too large, or PDFium is not installed.
    """
    with _opened(path) as document:
        page = document[number]
        scale = DPI / _POINTS_PER_INCH
        width, height = (round(side * scale) for side in page.get_size())
        where = f"{path}#{number + 1}"
        require_few_pixels(width, height, max_pixels, where, remedy="raise --max-pixels")
        # Annotations, such as the text of a filled form, are drawn too.
        drawn = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False)
        pixels = drawn.to_numpy()
        if pixels.ndim == 2 or pixels.shape[2] == 1:
            pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
        return np.array(pixels[..., :3], np.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import pypdfium2  # noqa: PLC0415  # it comes with an extra
    except ImportError as error:
        raise DataError(
            "is a PDF file, and pypdfium2 is not installed",
            where=str(path),
            remedy="pip install 'detsweep[documents]', or render its pages as images first",
        ) from error
    try:
        document = pypdfium2.PdfDocument(path)
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(path), remedy="check the path") from error
    except pypdfium2.PdfiumError as error:
        raise _unreadable(path, error) from error
    try:
        yield document
    except pypdfium2.PdfiumError as error:
        raise _unreadable(path, error) from error
    finally:
        document.close()


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"cannot be read as a PDF file: {error}",
        where=str(path),
        remedy="restore the file, or save it without a password",
    )
