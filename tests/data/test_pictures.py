"""Pictures are read ahead, in order, and a bad one costs itself."""

import threading
from pathlib import Path

import pytest
from PIL import Image

from detector.data import pictures
from detector.data.pictures import Picture, find_pictures, read_ahead
from detector.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(8):
        Image.new("L", (4 + i, 3)).save(tmp_path / f"{i}.png")
    (tmp_path / "3.png").write_bytes(b"cut")
    return tmp_path


def test_they_come_in_order_and_a_bad_one_costs_itself(folder: Path) -> None:
    read = list(read_ahead(find_pictures([folder]), 100))
    widths = [None if isinstance(one, DataError) else one.shape[1] for one in read]
    assert widths == [4, 5, 6, None, 8, 9, 10, 11]


def test_the_next_ones_are_read_meanwhile_and_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = [threading.Event() for _ in range(8)]

    def read(picture: Picture, max_pixels: int) -> DataError:
        began[int(picture.path.stem)].set()
        return DataError("", where="", remedy="")

    monkeypatch.setattr(pictures, "_read", read)
    images = read_ahead(find_pictures([folder]), 100)
    next(images)
    # Nobody has asked for these two yet.
    assert began[1].wait(30) and began[2].wait(30)
    assert not any(event.is_set() for event in began[3:])
    images.close()  # type: ignore[attr-defined]  # it is a generator
    assert not any(thread.name.startswith("reading pictures") for thread in threading.enumerate())
