"""Folds: whole groups, equal shares, and nothing that changed goes unnoticed."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.data.data_set import DataSet
from detector.data.folds import Manifest, make_folds, open_folds
from detector.data.page import Page, TextBox
from detector.errors import DataError

WritePage = Callable[..., Path]

_BOX = TextBox(np.array([[0, 0], [4, 0], [4, 2], [0, 2]], dtype=np.float64))
_IMAGES = 40


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Small images, all different."""
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{i:02d}.png" for i in range(_IMAGES)]
    for i, path in enumerate(paths):
        Image.new("RGB", (8, 4), (i, 0, 0)).save(path)
    return paths


# One entry a page: its number of boxes, and its group, if any.
_PAGES = st.lists(
    st.tuples(st.integers(0, 30), st.none() | st.integers(0, 12)), min_size=12, max_size=_IMAGES
)
_SLOW_ENOUGH = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _pages(
    images: list[Path], sizes: list[tuple[int, int | None]], held_out: int = 0
) -> list[Page]:
    return [
        Page(
            name=f"images/{image.name}",
            image=image,
            boxes=(_BOX,) * boxes,
            held_out=i < held_out,
            group=None if group is None else f"shop {group}",
        )
        for i, (image, (boxes, group)) in enumerate(zip(images, sizes, strict=False))
    ]


def _parts(pages: list[Page]) -> int:
    """How many sets of pages have different groups."""
    return len({page.group or page.name for page in pages})


@_SLOW_ENOUGH
@given(sizes=_PAGES, count=st.integers(2, 5), seed=st.integers(0, 99))
def test_no_group_is_in_two_folds_and_every_page_in_one(
    images: list[Path], sizes: list[tuple[int, int | None]], count: int, seed: int
) -> None:
    pages = _pages(images, sizes)
    if _parts(pages) <= count:
        return
    manifest = make_folds(pages, count, seed)
    assert [entry.name for entry in manifest.pages] == sorted(page.name for page in pages)
    folds_of: dict[str, set[int | None]] = defaultdict(set)
    for entry in manifest.pages:
        folds_of[entry.group or entry.name].add(entry.fold)
    assert all(len(folds) == 1 for folds in folds_of.values())
    assert {entry.fold for entry in manifest.pages} == {None, *range(count)}


@_SLOW_ENOUGH
@given(sizes=_PAGES, count=st.integers(2, 5), seed=st.integers(0, 99))
def test_folds_differ_by_the_largest_group_at_most(
    images: list[Path], sizes: list[tuple[int, int | None]], count: int, seed: int
) -> None:
    pages = _pages(images, sizes)
    if _parts(pages) <= count:
        return
    manifest = make_folds(pages, count, seed)
    boxes: Counter[int] = Counter(dict.fromkeys(range(count), 0))
    groups: Counter[str] = Counter()
    for entry in manifest.pages:
        if entry.fold is not None:
            boxes[entry.fold] += entry.boxes
            groups[entry.group or entry.name] += entry.boxes
    assert max(boxes.values()) - min(boxes.values()) <= max(groups.values())


@_SLOW_ENOUGH
@given(sizes=_PAGES, seed=st.integers(0, 99), order=st.randoms(use_true_random=False))
def test_order_of_the_pages_changes_nothing(
    images: list[Path],
    sizes: list[tuple[int, int | None]],
    seed: int,
    order: random.Random,
) -> None:
    pages = _pages(images, sizes)
    if _parts(pages) <= 2:
        return
    shuffled = list(pages)
    order.shuffle(shuffled)
    assert make_folds(shuffled, 2, seed) == make_folds(pages, 2, seed)


def test_seed_decides_the_folds(images: list[Path]) -> None:
    pages = _pages(images, [(10, None)] * _IMAGES)
    manifests = [make_folds(pages, 5, seed) for seed in (0, 0, 1)]
    assert manifests[0] == manifests[1]
    assert manifests[0].digest() != manifests[2].digest()


def test_equal_pages_make_equal_folds(images: list[Path]) -> None:
    manifest = make_folds(_pages(images, [(10, None)] * _IMAGES), 4, 0, held_out_fraction=0.2)
    assert Counter(entry.fold for entry in manifest.pages) == {None: 8, 0: 8, 1: 8, 2: 8, 3: 8}


def test_own_held_out_split_is_kept(images: list[Path]) -> None:
    manifest = make_folds(_pages(images, [(10, None)] * _IMAGES, held_out=3), 5, 0)
    held_out = [entry.name for entry in manifest.pages if entry.fold is None]
    assert held_out == ["images/00.png", "images/01.png", "images/02.png"]


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_held_out_share_is_a_share_of_the_boxes(images: list[Path], fraction: float) -> None:
    pages = _pages(images, [(i, None) for i in range(1, _IMAGES + 1)])
    manifest = make_folds(pages, 2, 0, held_out_fraction=fraction)
    held_out = sum(entry.boxes for entry in manifest.pages if entry.fold is None)
    total = sum(entry.boxes for entry in manifest.pages)
    assert abs(held_out - fraction * total) <= _IMAGES / 2


def test_a_share_of_nothing_holds_out_nothing(images: list[Path]) -> None:
    pages = _pages(images, [(10, i % 2) for i in range(_IMAGES)])
    manifest = make_folds(pages, 2, 0, held_out_fraction=0)
    assert {entry.fold for entry in manifest.pages} == {0, 1}


def test_pages_with_the_same_image_share_a_fold(images: list[Path], tmp_path: Path) -> None:
    pages = _pages(images, [(10, i // 4) for i in range(_IMAGES)])
    copy = tmp_path / "copy.png"
    copy.write_bytes(pages[0].image.read_bytes())
    # The copy joins the groups of the first and the last page.
    pages.append(replace(pages[-1], name="images/copy.png", image=copy))
    for seed in range(10):
        fold_of = {entry.name: entry.fold for entry in make_folds(pages, 4, seed).pages}
        joined = {fold_of[page.name] for page in [*pages[:4], *pages[-5:]]}
        assert len(joined) == 1


def test_fewer_groups_than_folds_is_an_error(images: list[Path]) -> None:
    pages = _pages(images, [(10, i % 4) for i in range(_IMAGES)])
    with pytest.raises(DataError, match="3 groups of pages cannot make 5 folds"):
        make_folds([replace(page, held_out=page.group == "shop 0") for page in pages], 5, 0)
    with pytest.raises(
        DataError, match="4 groups of pages cannot make 4 folds and a held-out part"
    ):
        make_folds(pages, 4, 0)


def test_manifest_says_what_each_page_is(images: list[Path]) -> None:
    manifest = make_folds(_pages(images, [(7, 3)] + [(1, None)] * 10), 2, 0)
    first = manifest.pages[0]
    assert (first.name, first.width, first.height) == ("images/00.png", 8, 4)
    assert (first.boxes, first.group) == (7, "shop 3")


def test_manifest_is_read_back_as_written(images: list[Path]) -> None:
    manifest = make_folds(_pages(images, [(7, 3)] + [(1, None)] * 10), 2, 0)
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"count": 2, "seed": 0, "pages": [{}]}'])
def test_file_that_is_no_manifest_is_an_error(text: str) -> None:
    with pytest.raises(DataError, match=r"store/folds\.json: not a manifest of folds"):
        Manifest.from_json(text, "store/folds.json")


def test_edited_manifest_is_an_error(images: list[Path]) -> None:
    tree = json.loads(make_folds(_pages(images, [(1, None)] * 10), 2, 0).to_json())
    tree["pages"][0]["fold"] = 1 if tree["pages"][0]["fold"] != 1 else 0
    with pytest.raises(DataError, match="it was edited"):
        Manifest.from_json(json.dumps(tree))


def test_digest_follows_what_is_trained_on_and_nothing_else(images: list[Path]) -> None:
    manifest = make_folds(_pages(images, [(1, None)] * 10), 2, 0)
    first, *rest = manifest.pages

    def digest_with(**changes: Any) -> str:
        return replace(manifest, pages=(replace(first, **changes), *rest)).digest()

    changed = [
        digest_with(name="images/x.png"),
        digest_with(sha256="0"),
        digest_with(annotation="0"),
        digest_with(fold=1 if first.fold != 1 else 0),
    ]
    assert len({manifest.digest(), *changed}) == 5
    assert replace(manifest, seed=9).digest() == manifest.digest()


def _write_data_set(write_page: WritePage) -> None:
    for i in range(8):
        write_page("train", f"t{i}", lines=i + 1)
    for i in range(2):
        write_page("val", f"v{i}")


def test_each_page_is_validated_on_once_and_trained_on_otherwise(
    root: Path, write_page: WritePage
) -> None:
    _write_data_set(write_page)
    folds = open_folds(root, make_folds(DataSet.read(root).pages(), 3, 0))
    trainable = {page.name for page in folds.pages if not page.held_out}
    validated: Counter[str] = Counter()
    for fold in range(3):
        training = {page.name for page in folds.training(fold)}
        validation = {page.name for page in folds.validation(fold)}
        assert training | validation == trainable
        assert not training & validation
        validated.update(validation)
    assert validated == dict.fromkeys(trainable, 1)


def test_without_a_fold_the_held_out_pages_validate(root: Path, write_page: WritePage) -> None:
    _write_data_set(write_page)
    folds = open_folds(root, make_folds(DataSet.read(root).pages(), 3, 0))
    assert [page.image.stem for page in folds.training(None)] == [f"t{i}" for i in range(8)]
    assert [page.image.stem for page in folds.validation(None)] == ["v0", "v1"]
    assert [page.image.stem for page in folds.held_out] == ["v0", "v1"]


def test_page_that_was_carved_out_is_held_out(root: Path, write_page: WritePage) -> None:
    for i in range(8):
        write_page(name=f"p{i}")
    folds = open_folds(root, make_folds(DataSet.read(root).pages(), 3, 0, held_out_fraction=0.25))
    assert len(folds.held_out) == 2
    assert all(page.held_out for page in folds.held_out)


@pytest.mark.parametrize("fold", [-1, 3])
def test_fold_that_is_not_there_is_an_error(fold: int, root: Path, write_page: WritePage) -> None:
    _write_data_set(write_page)
    folds = open_folds(root, make_folds(DataSet.read(root).pages(), 3, 0))
    for pages_of in (folds.training, folds.validation):
        with pytest.raises(DataError, match=f"there is no fold {fold}"):
            pages_of(fold)


def _change_image(root: Path) -> None:
    Image.new("RGB", (64, 48), "white").save(root / "train/images/t3.jpg")


def _remove_page(root: Path) -> None:
    (root / "train/images/t3.jpg").unlink()
    (root / "train/gt/t3.txt").unlink()


def _change_text(root: Path) -> None:
    path = root / "train/gt/t3.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("w1", "other"), encoding="utf-8")


def _add_page(root: Path) -> None:
    Image.new("RGB", (64, 48)).save(root / "train/images/t9.jpg")
    (root / "train/gt/t9.txt").write_text("2,2,30,2,30,10,2,10,new", encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_change_image, r"changed: train/images/t3\.jpg"),
        (_remove_page, r"missing: train/images/t3\.jpg"),
        (_change_text, r"annotated again: train/images/t3\.jpg"),
        (_add_page, r"new: train/images/t9\.jpg"),
    ],
)
def test_data_set_that_changed_since_is_an_error_that_names_the_files(
    change: Callable[[Path], None], said: str, root: Path, write_page: WritePage
) -> None:
    _write_data_set(write_page)
    manifest = make_folds(DataSet.read(root).pages(), 3, 0)
    change(root)
    with pytest.raises(DataError, match=said):
        open_folds(root, manifest)


def test_other_files_may_change(root: Path, write_page: WritePage) -> None:
    _write_data_set(write_page)
    manifest = make_folds(DataSet.read(root).pages(), 3, 0)
    (root / "README.md").write_text("receipts", encoding="utf-8")
    path = root / "train/gt/t3.txt"
    path.write_text(
        path.read_text(encoding="utf-8").replace("\n", "\r\n") + "\r\n\r\n", encoding="utf-8"
    )
    assert len(open_folds(root, manifest).pages) == 10
