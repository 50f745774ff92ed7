"""Outputs are written as they are: nothing that a person names is replaced by something else."""

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from detector.errors import StoreError
from detector.storage.output import write_output

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other devices")


def test_a_new_file_and_its_folders_are_made(tmp_path: Path) -> None:
    write_output(tmp_path / "deep" / "found.json", b"{}")
    assert (tmp_path / "deep" / "found.json").read_bytes() == b"{}"


@needs_posix
def test_a_file_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    file.write_bytes(b"old")
    file.chmod(0o640)
    write_output(file, b"new")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"new", 0o640)


@needs_posix
def test_a_link_stays_one_and_what_it_names_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    file, link = tmp_path / "real" / "found.json", tmp_path / "link.json"
    file.write_bytes(b"old")
    link.symlink_to(file)
    write_output(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    dangling = tmp_path / "dangling.json"
    dangling.symlink_to(tmp_path / "real" / "later.json")
    write_output(dangling, b"later")
    assert (tmp_path / "real" / "later.json").read_bytes() == b"later"


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("its `os` has no pipes")
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_output(pipe, b"through")
    reader.join()
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@needs_posix
def test_a_device_is_written_through() -> None:
    write_output(Path("/dev/null"), b"gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_dash_is_the_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write_output(Path("-"), b"\x00\xff")
    assert capfdbinary.readouterr().out == b"\x00\xff"


def test_what_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path, tmp_path / "file" / "below.json", tmp_path / ("x" * 300)):
        with pytest.raises(StoreError, match="cannot be written") as caught:
            write_output(path, b"")
        assert str(path) in str(caught.value)
