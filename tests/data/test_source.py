"""Fetching data sets: a folder as it is, an object store by way of the cache."""

from collections.abc import Callable
from pathlib import Path

import pytest
import s3fs

from detector.data.check import check_data
from detector.data.source import cache_folder, fetch
from detector.errors import DataError, StoreLostError
from tests.ports import free_port

WritePage = Callable[..., Path]


@pytest.fixture
def url(
    s3_bucket: str,
    root: Path,
    write_page: WritePage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """A data set of two pages on a real S3 server."""
    monkeypatch.setenv("DETSWEEP_CACHE", str(tmp_path / "cache"))
    write_page("train", "a", lines=2)
    write_page("val", "b")
    url = f"{s3_bucket}/{tmp_path.name}/receipts"
    s3fs.S3FileSystem().put(f"{root}/", f"{url}/", recursive=True)
    return url


def _files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_folder_is_used_as_it_is(root: Path) -> None:
    assert fetch(str(root)) == root


@pytest.mark.parametrize(
    ("url", "problem"),
    [("no/such/folder", "there is no such folder"), ("ftp://host/data", "not a place for data")],
)
def test_other_places_are_errors(url: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        fetch(url)


def test_data_set_at_s3_is_copied_whole(url: str, root: Path) -> None:
    folder = fetch(url)
    assert folder == cache_folder(url)
    assert _files(folder) == _files(root)
    assert [page.name for page in check_data(folder).pages] == [
        "train/images/a.jpg",
        "val/images/b.jpg",
    ]


def test_second_fetch_copies_nothing(url: str) -> None:
    folder = fetch(url)
    inodes = {path: path.stat().st_ino for path in folder.rglob("*")}
    assert fetch(f"{url}/") == folder
    assert {path: path.stat().st_ino for path in folder.rglob("*")} == inodes


def test_fetch_goes_on_where_it_was_cut_short(url: str, root: Path) -> None:
    folder = fetch(url)
    whole = folder / "train/images/a.jpg"
    inode = whole.stat().st_ino
    (folder / "val/images/b.jpg").unlink()
    (folder / "val/gt/b.txt").write_text("half", encoding="utf-8")
    fetch(url)
    assert _files(folder) == _files(root)
    assert whole.stat().st_ino == inode


def test_fetch_follows_what_changed_at_the_store(url: str) -> None:
    folder = fetch(url)
    fs = s3fs.S3FileSystem()
    fs.pipe_file(f"{url}/train/gt/a.txt", b"2,2,30,2,30,10,2,10,changed")
    fs.pipe_file(f"{url}/train/gt/c.txt", b"new")
    fs.rm(f"{url}/val/gt/b.txt")
    fetch(url)
    assert (folder / "train/gt/a.txt").read_bytes() == b"2,2,30,2,30,10,2,10,changed"
    assert (folder / "train/gt/c.txt").read_bytes() == b"new"
    assert not (folder / "val/gt/b.txt").exists()


def test_copies_in_progress_elsewhere_are_left_alone(url: str) -> None:
    folder = fetch(url)
    other = folder / "train/images/.a.jpg.0123.tmp"
    other.write_bytes(b"half")
    fetch(url)
    assert other.read_bytes() == b"half"


def test_more_files_than_one_batch_are_copied(url: str) -> None:
    fs = s3fs.S3FileSystem()
    fs.pipe({f"{url}/many/{i}.txt": str(i).encode() for i in range(150)})
    copied = {
        path.stem: path.read_text(encoding="utf-8") for path in (fetch(url) / "many").iterdir()
    }
    assert copied == {str(i): str(i) for i in range(150)}


def test_prefix_without_files_is_an_error(url: str) -> None:
    with pytest.raises(DataError, match="holds no files"):
        fetch(f"{url}-of-last-year")


def test_missing_bucket_is_an_error(url: str) -> None:
    with pytest.raises(DataError, match="s3://no-such-bucket/receipts"):
        fetch("s3://no-such-bucket/receipts")


def test_wrong_key_is_an_error_that_names_the_variables(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(DataError, match="check AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID"):
            fetch(url)
    finally:
        s3fs.S3FileSystem.clear_instance_cache()


def test_a_store_that_stays_away_is_lost_and_the_data_set_is_not_to_blame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("DETSWEEP_PATIENCE_SECONDS", "0.1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreLostError, match="cannot be copied"):
        fetch("s3://bucket/receipts")
    s3fs.S3FileSystem.clear_instance_cache()


def test_cache_lies_in_the_home_folder_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DETSWEEP_CACHE", raising=False)
    home = Path.home()
    assert cache_folder("s3://a/receipts").is_relative_to(home / ".cache/detsweep")
    assert cache_folder("s3://a/receipts") != cache_folder("s3://b/receipts")


@pytest.mark.parametrize("name", ["", " "])
def test_no_name_is_no_folder(name: str) -> None:
    with pytest.raises(DataError, match="an empty name: there is no such folder"):
        fetch(name)
