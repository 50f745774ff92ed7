"""Pages that show the same picture are found, and others of one kind are not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from detector.config.loading import load_config
from detector.data import alike as module
from detector.data.alike import alike_by_name, find_alike, leaks, look_of
from detector.data.check import check_data
from detector.data.convert import write_data_set
from detector.data.data_set import DataSet
from detector.data.folds import make_folds
from detector.data.images import read_image
from detector.data.opening import split_pages
from detector.data.output_format import OutputFormat
from detector.data.page import Page
from detector.data.problem import refuse_errors
from detector.data.synthetic.drawing import draw_receipts
from detector.errors import DataError

Pixels = NDArray[np.uint8]


def _smaller(image: Pixels) -> Pixels:
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), "u1")


def _saved_again(image: Pixels) -> Pixels:
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), "u1")


def _lighter(image: Pixels) -> Pixels:
    return np.asarray(np.clip(image * 0.8 + 30, 0, 255), "u1")


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> list[Page]:
    """Sixteen drawn receipts, four of them held out."""
    root = tmp_path_factory.mktemp("drawn") / "data"
    draw_receipts(root, train=12, held_out=4, seed=5)
    return DataSet.read(root).pages()


@pytest.mark.parametrize("change", [_smaller, _saved_again, _lighter])
def test_a_copy_is_found_and_no_other_page(
    change: Callable[[Pixels], Pixels], receipts: list[Page]
) -> None:
    looks = {page.name: look_of(read_image(page.image)) for page in receipts}
    assert alike_by_name(looks) == []
    for page in receipts[:4]:
        copy = look_of(change(read_image(page.image)))
        assert alike_by_name({**looks, "copy": copy}) == [(page.name, "copy")]


def test_blank_pages_are_not_called_alike() -> None:
    blank = look_of(np.full((90, 60, 3), 255, np.uint8))
    assert alike_by_name({"a": blank, "b": blank}) == []


def test_looks_are_kept_and_a_damaged_cache_is_made_again(
    receipts: list[Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_CACHE", str(tmp_path))
    image = tmp_path / "copy.png"
    image.write_bytes(receipts[0].image.read_bytes())
    pages = [*receipts, replace(receipts[0], name="copy", image=image)]
    first = find_alike(pages)
    assert first == [(receipts[0].name, "copy")]
    (cache,) = (tmp_path / "looks").iterdir()
    written = cache.stat().st_mtime_ns
    assert find_alike(pages) == first
    assert cache.stat().st_mtime_ns == written
    cache.write_bytes(b"damaged")
    assert find_alike(pages) == first


def test_pages_alike_share_a_fold(receipts: list[Page]) -> None:
    pages = [replace(page, group=None) for page in receipts if not page.held_out]
    alike = [(pages[0].name, page.name) for page in pages[1:5]]
    for seed in range(5):
        fold_of = {p.name: p.fold for p in make_folds(pages, 2, seed, alike=alike).pages}
        assert len({fold_of[page.name] for page in pages[:5]}) == 1


def test_a_leak_is_the_page_to_train_on(receipts: list[Page]) -> None:
    training, held_out = receipts[0].name, receipts[-1].name
    assert leaks(receipts, [(held_out, training), (receipts[1].name, training)]) == {
        training: held_out
    }


def test_a_copy_of_a_held_out_page_is_refused_until_it_is_left_out_or_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETSWEEP_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data"
    draw_receipts(root, train=5, held_out=1, seed=5)
    (held_out,) = (root / "val" / "images").iterdir()
    (labels,) = (root / "val" / "gt").iterdir()
    copy = _saved_again(read_image(held_out)[:, :, ::-1])
    cv2.imwrite(str(root / "train/images/again.jpg"), copy)
    (root / "train/gt/again.txt").write_bytes(labels.read_bytes())

    config = load_config(_of(root))
    with pytest.raises(DataError, match="which is held out") as raised:
        split_pages(config)
    assert "train/images/again.jpg" in str(raised.value)
    assert "data.allow_duplicates=true" in str(raised.value)
    allowed = load_config([*_of(root), "data.allow_duplicates=true"])
    assert len(split_pages(allowed).pages) == 7

    report = check_data(root)
    with pytest.raises(DataError, match=r"data\.allow_duplicates=true"):
        refuse_errors(report.problems, "data")
    assert [problem.file for problem in report.of_level("error")] == ["train/images/again.jpg"]
    assert check_data(root, allow_duplicates=True).of_level("error") == []
    write_data_set(report.kept, tmp_path / "clean", OutputFormat.ICDAR)
    assert len(split_pages(load_config(_of(tmp_path / "clean"))).pages) == 6


def _of(root: Path) -> list[str]:
    return ["preset=quickstart", f"data.path={root}", "folds.count=2"]


def test_a_very_large_data_set_is_not_looked_through_and_a_line_says_so(
    receipts: list[Page], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "MOST_PAGES", 15)
    assert find_alike(receipts) == []
    assert "16 pages: copies are not looked for among more than 15" in capsys.readouterr().out
