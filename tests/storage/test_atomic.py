"""Files that are written whole."""

from pathlib import Path

import pytest

from detector.storage import atomic
from detector.storage.atomic import write_atomically


class InUseError(PermissionError):
    """What Windows raises where another process has the file open."""

    winerror = 32


def test_a_file_that_is_being_read_is_replaced_as_soon_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b"old")
    replace, tries = Path.replace, iter(range(3))

    def as_on_windows(self: Path, target: Path) -> Path:
        if next(tries) < 2:
            raise InUseError(13, "in use", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", as_on_windows)
    write_atomically(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_may_not_be_replaced_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refuse(self: Path, target: Path) -> Path:
        tries.append(target)
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        atomic.write_beside(tmp_path / "a", b"new")
    assert len(tries) == 1
    assert not list(tmp_path.iterdir()), "nothing is left beside it"
