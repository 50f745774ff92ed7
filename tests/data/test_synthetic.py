import csv
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.data.synthetic.drawing import TRAITS, draw_receipt, draw_receipts
from detector.data.synthetic.photo import Look, Warp, photograph
from detector.data.synthetic.receipt import found_shop, print_receipt
from detector.errors import DataError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "receipts"
    draw_receipts(root, train=6, held_out=3, seed=7)
    return root


def _index(root: Path) -> list[dict[str, str]]:
    with (root / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_page_has_an_image_an_annotation_and_a_row_of_the_index(drawn: Path) -> None:
    rows = _index(drawn)
    assert [row["split"] for row in rows] == ["train"] * 6 + ["val"] * 3
    for row in rows:
        with Image.open(drawn / row["split"] / "images" / f"{row['name']}.jpg") as image:
            assert image.size == (int(row["width"]), int(row["height"]))
        lines = (
            (drawn / row["split"] / "gt" / f"{row['name']}.txt")
            .read_text(encoding="utf-8")
            .splitlines()
        )
        assert len(lines) == int(row["boxes"]) > 15


def test_no_shop_has_receipts_in_both_parts(drawn: Path) -> None:
    shops = {
        part: {r["group"] for r in _index(drawn) if r["split"] == part} for part in ("train", "val")
    }
    assert shops["train"] and shops["val"]
    assert not shops["train"] & shops["val"]


def test_an_annotation_is_eight_whole_numbers_on_the_page_and_a_word(drawn: Path) -> None:
    for row in _index(drawn):
        for line in (
            (drawn / row["split"] / "gt" / f"{row['name']}.txt")
            .read_text(encoding="utf-8")
            .splitlines()
        ):
            *numbers, text = line.split(",", 8)
            points = np.array([int(number) for number in numbers]).reshape(4, 2)
            assert (points >= 0).all()
            assert (points <= [int(row["width"]), int(row["height"])]).all()
            assert text and text == text.strip()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    drawn: Path, tmp_path: Path
) -> None:
    draw_receipts(tmp_path / "again", train=6, held_out=3, seed=7)
    draw_receipts(tmp_path / "other", train=6, held_out=3, seed=8)
    files = [path.relative_to(drawn) for path in sorted(drawn.rglob("*")) if path.is_file()]
    assert len(files) == 2 * 9 + 1
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (drawn / file).read_bytes()
        assert (tmp_path / "other" / file).read_bytes() != (drawn / file).read_bytes()


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(DataError, match="name a new folder"):
        draw_receipts(tmp_path, train=1, held_out=0, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_any_five_neighbours_show_every_trait() -> None:
    for first in (0, 13):
        shown = [draw_receipt(first + i, seed=1).traits for i in range(5)]
        assert set().union(*shown) == set(TRAITS)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("number", range(6))
def test_word_boxes_are_tight_on_the_ink(number: int, dense: bool) -> None:
    rng = np.random.default_rng(number)
    flat = print_receipt(found_shop(number, rng), rng, dense=dense)
    for word in chain(*flat.lines):
        left, top, right, bottom = word.box
        ink = flat.ink[top:bottom, left:right]
        assert ink[0].any() and ink[-1].any() and ink[:, 0].any() and ink[:, -1].any(), word


@given(
    shape=st.tuples(st.floats(-8, 8), st.floats(-25, 25), st.floats(0, 10), st.floats(0, 3)),
    point=st.tuples(st.floats(0, 500), st.floats(0, 900)),
)
def test_the_way_back_from_the_photograph_is_exact(
    shape: tuple[float, float, float, float], point: tuple[float, float]
) -> None:
    warp = Warp(500, 900, *shape, shift=(12.0, -30.0))
    back = warp.to_print(*warp.to_photo(*np.array(point)[:, None]))
    np.testing.assert_allclose(np.ravel(back), np.array(point), atol=1e-9)


@pytest.mark.parametrize("bend, degrees", [(0, 0), (0, 7), (20, -5)])
def test_a_mark_on_the_print_is_found_where_the_warp_says(bend: float, degrees: float) -> None:
    ink = np.zeros((400, 300), np.uint8)
    ink[195:206, 95:106] = 255
    look = Look(degrees=degrees, bend=bend, sway=4.0 if bend else 0.0, ink=0.9, scanned=True)
    image, warp = photograph(ink, look, np.random.default_rng(3))
    rows, columns = np.nonzero(image[..., 1] < 100)
    x, y = warp.to_photo(np.array([100.0]), np.array([200.0]))
    assert (columns.mean(), rows.mean()) == pytest.approx((x[0], y[0]), abs=1.0)
