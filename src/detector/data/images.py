"""From an image file to pixels. The only place where images are decoded, so that training, scoring
and prediction see the same pixels; nothing here knows of annotations.

Pillow decodes, because it refuses a truncated file where OpenCV fills the rest with grey.
"""

import math
import warnings
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from detector.errors import DataError

MAX_PIXELS = 100_000_000
"""Images with more pixels are refused unless a caller allows them."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jp2"}
    | {".avif", ".heic", ".heif"}
)
"""Lower-case file name endings that count as images in a data set."""

# An explicit list keeps out formats that run other programs to decode (EPS starts Ghostscript).
_FORMATS = ["JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000", "PPM", "AVIF"]
with suppress(ImportError):  # It comes with the extra `documents`.
    from pi_heif import register_heif_opener

    register_heif_opener()
    _FORMATS.append("HEIF")
_INSTALL = "pip install 'detsweep[documents]', or save it as JPEG or PNG first"
_OTHER_KINDS = {
    ".pdf": "render its pages as images first, as with `pdftoppm -r 200 -png FILE page`",
    **({} if "HEIF" in _FORMATS else {".heic": _INSTALL, ".heif": _INSTALL}),
}
"""What to do with files that are not images to Pillow, by their names' endings."""
_FEWER_PIXELS = "scale the image down, or raise --max-pixels (data.max_pixels of a training)"
_SIDEWAYS = frozenset({5, 6, 7, 8})
_TURNS: Mapping[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the orientation that EXIF gives. TIFFs are turned by Pillow itself."""
_OF_PAGES = frozenset({".tif", ".tiff", ".gif", ".webp"})

# What is wrong with an image's EXIF data is no matter of whoever wants its pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")
# `_open` has its own limit with its own error; Pillow's would warn first and stop at a fixed size.
Image.MAX_IMAGE_PIXELS = None


def read_image(
    path: Path, max_pixels: int = MAX_PIXELS, frame: int = 0, at_least: int | None = None
) -> NDArray[np.uint8]:
    """The pixels of an image file, upright: (H, W, 3) uint8 RGB.

    See `decode_image` for the arguments, and for what is done to other kinds of image.

    Raises:
        DataError: there is no such file, or `decode_image` refuses its content.
    """
    return decode_image(read_bytes(path), str(path), max_pixels, frame, at_least)


def page_count(path: Path) -> int:
    """How many pages a TIFF has, or pictures a moving GIF or WebP; 1 of any other image, and of one
    that cannot be read."""
    if path.suffix.lower() not in _OF_PAGES:
        return 1
    try:
        with _open(path, str(path), max_pixels=None) as image:
            return int(getattr(image, "n_frames", 1))
    # Pillow's decoders raise almost any exception on damaged bytes; who reads it will say so.
    except Exception:
        return 1


def decode_image(
    content: bytes,
    where: str,
    max_pixels: int = MAX_PIXELS,
    frame: int = 0,
    at_least: int | None = None,
) -> NDArray[np.uint8]:
    """The pixels of an encoded image, upright: (H, W, 3) uint8 RGB.

    The EXIF orientation is applied. Grey, CMYK, palette and 1-bit images become RGB, grey of more
    bits is scaled to 8 (see `_eight_bits`), and transparency is laid over white.

    Args:
        content: the bytes of the file.
        where: what to call the image in an error.
        max_pixels: more than this is refused from the header, before anything is decoded.
        frame: which page of a file that has several.
        at_least: a JPEG may come at a half, a quarter or an eighth of its size, while both sides
            keep so many pixels: it is decoded in a fraction of the time.

    Raises:
        DataError: the bytes are not an image of a known format, are truncated or damaged, or hold
            more than `max_pixels` pixels.
    """
    with _open(BytesIO(content), where, max_pixels) as image:
        try:
            if frame:
                image.seek(frame)
                _require_few_pixels(image, where, max_pixels)
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            image.load()
            return np.array(_to_rgb(_upright(image)))
        # Pillow's decoders raise almost any exception on damaged bytes.
        except Exception as error:
            raise _damaged(error, where) from error


def is_stored_sideways(path: Path) -> bool:
    """Whether the image's EXIF data says that it is to be turned by a quarter, to be upright.

    Raises:
        DataError: there is no such file, or it is not an image of a known format.
    """
    with _open(path, str(path), max_pixels=None) as image:
        try:
            return Image.Image.getexif(image).get(ExifTags.Base.Orientation) in _SIDEWAYS
        except Exception as error:
            raise _damaged(error, str(path)) from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of the upright image, from its header: nothing is decoded.

    An EXIF orientation that a PNG holds after its pixels, where few programs put it, is not seen.

    Raises:
        DataError: there is no such file, or it is not an image of a known format.
    """
    with _open(path, str(path), max_pixels=None) as image:
        if image.format == "TIFF":
            return image.size  # Pillow turns TIFFs by itself, and gives the upright size.
        try:
            # The base class's: a PNG's own decodes the pixels to look behind them.
            orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
        except Exception as error:
            raise _damaged(error, str(path)) from error
        width, height = image.size
        return (height, width) if orientation in _SIDEWAYS else (width, height)


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise DataError(
            "is a folder", where=str(path), remedy=f"name image files, such as {path}/*.jpg"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            remedy="check the path and the permissions",
        ) from error


def _open(source: Path | BytesIO, where: str, max_pixels: int | None) -> Image.Image:
    try:
        image: Image.Image = Image.open(source, formats=_FORMATS)
    except FileNotFoundError as error:
        raise DataError("no such image file", where=where, remedy="check the path") from error
    except Exception as error:
        raise _damaged(error, where) from error
    if max_pixels is not None:
        _require_few_pixels(image, where, max_pixels)
    return image


def _require_few_pixels(image: Image.Image, where: str, max_pixels: int) -> None:
    try:
        require_few_pixels(*image.size, max_pixels, where, _FEWER_PIXELS)
    except DataError:
        image.close()
        raise


def require_few_pixels(width: int, height: int, most: int, where: str, remedy: str) -> None:
    """Refuse a picture that is too large, before it is decoded or drawn.

    Args:
        where, remedy: of the error.

    Raises:
        DataError: it has more than `most` pixels.
    """
    if width * height > most:
        raise DataError(
            f"{width}x{height} is {width * height:,} pixels, more than the {most:,} allowed",
            where=where,
            remedy=remedy,
        )


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF data says; as it is stored, where that cannot be read. (Pillow's
    own `exif_transpose` writes the data again, and fails at values of other things.)"""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # Damaged data raises almost anything.
        turn = None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey of more bits in 8. White is the highest value of as many bits as the brightest pixel
    needs: 12-bit scans come in files of 16 bits. Of floating grey up to 1, white is 1.

    >>> _eight_bits(np.array([0, 2048, 4095])).tolist(), _eight_bits(np.array([0.5, 1.0])).tolist()
    ([0, 128, 255], [128, 255])
    """
    if not np.isfinite(grey).all():
        raise ValueError("pixels are not finite numbers")
    brightest = float(grey.max())
    bits = max(8, math.ceil(math.log2(max(brightest, 0) + 1)))
    white = 1.0 if grey.dtype.kind == "f" and brightest <= 1 else 2.0**bits - 1
    return (grey.clip(0) * (255 / white) + 0.5).astype(np.uint8)


def _damaged(error: Exception, where: str) -> DataError:
    if isinstance(error, UnidentifiedImageError):
        problem = "not an image of a known format"
    else:
        problem = f"cannot be decoded: {error}"
    usual = "restore the file, or save it again as an 8-bit JPEG, PNG, TIFF, BMP or WebP"
    remedy = _OTHER_KINDS.get(Path(where).suffix.lower(), usual)
    return DataError(problem, where=where, remedy=remedy)
