"""Decoding of image files: what is upright, what is white, and what is refused."""

import base64
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from detector.data.images import decode_image, image_size, read_image
from detector.errors import DataError

_ORIENTATION = 0x0112
_UPRIGHT = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
"""A page 4 wide and 2 high whose every pixel differs."""


def _encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _photo() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)


def test_rgb_image_keeps_its_pixels(tmp_path: Path) -> None:
    Image.fromarray(_UPRIGHT).save(tmp_path / "page.png")
    pixels = read_image(tmp_path / "page.png")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, _UPRIGHT)


def test_pixels_may_be_changed_in_place() -> None:
    pixels = decode_image(_encode(Image.fromarray(_UPRIGHT)), "page")
    pixels[0, 0] = 255
    assert pixels[0, 0].tolist() == [255, 255, 255]


# The stored pixels that each EXIF orientation stands for, from the upright ones.
_STORED = {
    1: _UPRIGHT,
    2: _UPRIGHT[:, ::-1],
    3: _UPRIGHT[::-1, ::-1],
    4: _UPRIGHT[::-1],
    5: _UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(_UPRIGHT, 1),
    7: _UPRIGHT[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(_UPRIGHT, -1),
}


@pytest.mark.parametrize("orientation", _STORED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    stored = Image.fromarray(np.ascontiguousarray(_STORED[orientation]))
    path = tmp_path / f"page.{kind.lower()}"
    path.write_bytes(_encode(stored, kind, exif=exif, **options))
    np.testing.assert_array_equal(read_image(path), _UPRIGHT)
    assert image_size(path) == (4, 2)


def test_sideways_jpeg_has_its_upright_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    path = tmp_path / "phone.jpg"
    path.write_bytes(_encode(Image.fromarray(_photo()), "JPEG", exif=exif))
    assert image_size(path) == (200, 300)
    assert read_image(path).shape == (300, 200, 3)


def test_grey_image_has_three_equal_channels() -> None:
    grey = np.array([[0, 100, 255]], dtype=np.uint8)
    pixels = decode_image(_encode(Image.fromarray(grey)), "page")
    np.testing.assert_array_equal(pixels, np.dstack([grey] * 3))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_to_8_bits(kind: str) -> None:
    grey = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    pixels = decode_image(_encode(Image.fromarray(grey), kind), "page")
    assert pixels[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("grey", "expected"),
    [
        (np.array([[0, 2048, 4095]], np.uint16), [0, 128, 255]),
        (np.array([[0, 300, 65535]], np.int32), [0, 1, 255]),
        (np.array([[-0.5, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0.0, 2048.0, 4095.0]], np.float32), [0, 128, 255]),
    ],
)
def test_grey_of_more_bits_is_scaled_to_8(grey: NDArray[Any], expected: list[int]) -> None:
    pixels = decode_image(_encode(Image.fromarray(grey), "TIFF"), "page")
    assert pixels.tolist() == [[[value] * 3 for value in expected]]


def test_grey_that_is_no_number_is_an_error() -> None:
    grey = Image.fromarray(np.array([[0, np.nan]], np.float32))
    with pytest.raises(DataError, match="not finite"):
        decode_image(_encode(grey, "TIFF"), "page")


def test_avif_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (200, 20, 30)).save(tmp_path / "a.avif")
    pixels = read_image(tmp_path / "a.avif")
    assert pixels.shape == (48, 64, 3)
    np.testing.assert_allclose(pixels[10, 10], [200, 20, 30], atol=6)


def test_heic_is_read_and_turned(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif")
    (tmp_path / "a.HEIC").write_bytes(base64.b64decode(HEIC))
    pixels = read_image(tmp_path / "a.HEIC")
    assert pixels.shape == (64, 48, 3)
    assert image_size(tmp_path / "a.HEIC") == (48, 64)
    assert pixels[12, 32].max() < 60 and pixels[60, 32].min() > 200


def test_1_bit_image_is_black_and_white() -> None:
    bits = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    assert decode_image(_encode(bits), "page").tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_palette_image_shows_its_colours() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 210, 220])
    palette.putdata([0, 1])
    assert decode_image(_encode(palette), "page").tolist() == [[[10, 20, 30], [200, 210, 220]]]


def test_cmyk_jpeg_becomes_rgb() -> None:
    white_paper = Image.new("CMYK", (16, 16), (0, 0, 0, 0))
    pixels = decode_image(_encode(white_paper, "JPEG"), "page")
    assert pixels.shape == (16, 16, 3)
    assert pixels.min() >= 250


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(mode: str) -> None:
    colour = (0, 0, 0, 0) if mode == "RGBA" else (0, 0)
    assert decode_image(_encode(Image.new(mode, (1, 1), colour)), "page").tolist() == [[[255] * 3]]


def test_transparent_colour_of_a_palette_is_laid_over_white() -> None:
    palette = Image.new("P", (1, 1))
    palette.putpalette([10, 20, 30])
    assert decode_image(_encode(palette, transparency=0), "page").tolist() == [[[255] * 3]]


def test_first_frame_of_several_is_taken() -> None:
    frames = [Image.new("RGB", (2, 1), colour) for colour in ("red", "blue")]
    content = _encode(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert decode_image(content, "scan").tolist() == [[[255, 0, 0]] * 2]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95])
def test_truncated_image_is_an_error(kind: str, kept: float) -> None:
    content = _encode(Image.fromarray(_photo()), kind)
    with pytest.raises(DataError, match="scan 7"):
        decode_image(content[: int(len(content) * kept)], "scan 7")


def test_file_that_is_no_image_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>404</html>", encoding="utf-8")
    with pytest.raises(DataError, match=r"page\.jpg: not an image of a known format"):
        read_image(tmp_path / "page.jpg")
    with pytest.raises(DataError, match="not an image of a known format"):
        image_size(tmp_path / "page.jpg")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"page\.jpg: cannot be read: No such file"):
        read_image(tmp_path / "page.jpg")
    with pytest.raises(DataError, match="no such image file"):
        image_size(tmp_path / "page.jpg")


def test_postscript_is_not_an_image() -> None:
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    with pytest.raises(DataError, match="not an image of a known format"):
        decode_image(content, "page")


def test_image_at_the_pixel_limit_is_read_and_one_above_is_refused() -> None:
    content = _encode(Image.fromarray(_UPRIGHT))
    assert decode_image(content, "page", max_pixels=8).shape == (2, 4, 3)
    with pytest.raises(DataError, match=r"page: 4x2 is 8 pixels, more than the 7 allowed"):
        decode_image(content, "page", max_pixels=7)


def test_pixel_limit_is_told_from_the_header_alone() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    with pytest.raises(DataError, match="more than the 100,000,000 allowed"):
        decode_image(bomb, "bomb")


def test_broken_exif_data_is_no_matter_of_warnings(tmp_path: Path) -> None:
    broken = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 9) + b"\0" * 20
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg", exif=broken)
    program = "import sys, pathlib, detector.data.images as i; i.read_image(pathlib.Path('a.jpg'))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stderr == b""


def test_odd_exif_values_keep_no_image_from_being_turned(tmp_path: Path) -> None:
    orientation = struct.pack("<HHII", _ORIENTATION, 3, 1, 6)
    resolution_as_text = struct.pack("<HHI4s", ExifTags.Base.XResolution, 2, 4, b"72\0\0")
    table = struct.pack("<H", 2) + orientation + resolution_as_text + struct.pack("<I", 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + table
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (64, 48, 3)


def test_a_pdf_is_to_be_rendered(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n")
    with pytest.raises(DataError, match="render its pages as images first"):
        read_image(tmp_path / "a.pdf")


HEIC = """
AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAA
AAAAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAACgAAgAAAAACFAABAAAAAAAAACQAAAA4aWluZgAA
AAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcn
AAAADmaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroC
QGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm
5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AA
AAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAA
AOY2RzYwACAAEAAQAAAFRtZGF0AAAAJCgBr1j5Rq6LsZKX+2toNNQgbExD9G6iHLY0EIqZNml2yu0e7gAAAAZFeGlm
AABNTQAqAAAACAABARIAAwAAAAEABgAAAAAAAA==
"""
"""64 x 48 pixels, white with a black bar of 40 x 16 at 8, 8, and to be turned by a quarter."""


def test_a_jpeg_may_be_decoded_smaller_and_other_images_are_not(tmp_path: Path) -> None:
    pixels = np.kron(np.arange(64, dtype=np.uint8).reshape(8, 8, 1), np.full((100, 50, 3), 4, "u1"))
    for name, shape in (("page.jpg", (200, 100, 3)), ("page.png", (800, 400, 3))):
        Image.fromarray(pixels).save(tmp_path / name)
        small = read_image(tmp_path / name, at_least=100)
        assert small.shape == shape
        nearest = cv2.resize(pixels, shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - nearest).mean() < 2
    assert read_image(tmp_path / "page.jpg", at_least=3000).shape == (800, 400, 3)
