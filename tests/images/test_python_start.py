"""A pod's own copy of the compiled kernels that an image brings."""

from pathlib import Path

from tests.images.test_requirements import load

copy_cache = load("python_start").copy_cache


def test_the_cache_is_copied_once(tmp_path: Path) -> None:
    warm, target = tmp_path / "warm", tmp_path / "cache"
    (warm / "kernels").mkdir(parents=True)
    (warm / "kernels" / "a.nbc").write_bytes(b"compiled")
    copy_cache(warm, target)
    assert (target / "kernels" / "a.nbc").read_bytes() == b"compiled"
    (target / "kernels" / "a.nbc").write_bytes(b"compiled again")
    copy_cache(warm, target)
    assert (target / "kernels" / "a.nbc").read_bytes() == b"compiled again"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "warm"]


def test_an_image_without_a_cache_starts_all_the_same(tmp_path: Path) -> None:
    copy_cache(tmp_path / "warm", tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
