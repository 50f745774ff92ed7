"""A drive's letter is no protocol, wherever a folder may be a URL."""

from pathlib import PureWindowsPath

import pytest
from fsspec.core import split_protocol
from fsspec.implementations.local import LocalFileSystem
from sqlalchemy.engine import make_url

from detector.storage.object_store import open_place
from detector.sweep.backends.storages import file_of
from pipelines.run import sqlite_url


@pytest.mark.parametrize(
    "place", [r"C:\data", "C:/data", r"D:\Müller & Söhne\my pages", "relative"]
)
def test_a_folder_on_a_drive_is_a_local_folder(place: str) -> None:
    assert split_protocol(place) == (None, place)
    assert isinstance(open_place(place)[0], LocalFileSystem)


def test_sqlite_on_a_drive_is_found_by_all_that_read_its_url() -> None:
    url = sqlite_url(PureWindowsPath(r"C:\Users\Zoë\my run"))
    assert make_url(url).database == "C:/Users/Zoë/my run/sweep.db"
    assert str(file_of(url)) == "C:/Users/Zoë/my run/sweep.db"


def test_a_journal_on_a_drive_is_found() -> None:
    assert PureWindowsPath(str(file_of("journal:///C:/runs/j"))) == PureWindowsPath(r"C:\runs\j")
