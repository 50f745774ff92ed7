"""Labels that do not fit their pages are found, with what is likely, and those that fit are not."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.config.loading import load_config
from detector.data.check import check_data
from detector.data.data_set import DataSet
from detector.data.fit import Points, likely_misfits
from detector.data.images import image_size
from detector.data.opening import split_pages
from detector.data.page import Page
from detector.data.synthetic.drawing import draw_receipts
from detector.errors import DataError

WritePage = Callable[..., Path]
Size = tuple[int, int]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Page]:
    root = tmp_path_factory.mktemp("fit") / "data"
    draw_receipts(root, train=12, held_out=2, seed=4)
    return DataSet.read(root).pages()


def moved(pages: Sequence[Page], where: Callable[[Points, Size], Points]) -> list[Page]:
    """The pages with labels that say something else."""
    return [
        replace(
            page,
            boxes=tuple(
                replace(box, points=where(box.points, image_size(page.image))) for box in page.boxes
            ),
        )
        for page in pages
    ]


def reasons(pages: Sequence[Page]) -> list[str]:
    problems = likely_misfits(pages)
    assert {(problem.level, problem.file) for problem in problems} <= {("warning", ".")}
    return [problem.reason for problem in problems]


def test_labels_that_fit_are_not_doubted(drawn: list[Page]) -> None:
    assert reasons(drawn) == []
    a_little_off = moved(drawn, lambda points, size: points + 0.005 * np.array(size))
    assert reasons(a_little_off) == []


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (lambda points, _: points[:, ::-1], "x and y are swapped"),
        (
            lambda points, size: np.column_stack([points[:, 1], size[0] - points[:, 0]]),
            "the page turned by 90° to the left",
        ),
        (lambda points, size: np.array(size) - points, "turned upside down"),
        (lambda points, _: points / 2, "at half its size"),
        (lambda points, size: points / np.array(size) * 1000, "coordinates run from 0 to 1000"),
    ],
    ids=["swapped", "turned", "upside down", "half", "per mille"],
)
def test_labels_that_say_something_else_are_named(
    drawn: list[Page], where: Callable[[Points, Size], Points], said: str
) -> None:
    [reason] = reasons(moved(drawn, where))
    assert said in reason


@pytest.mark.parametrize(
    ("shift", "said"),
    [(1, "labels of the one before"), (-1, "labels of the next"), (5, "hardly of these pages")],
)
def test_labels_of_other_pages_are_found(drawn: list[Page], shift: int, said: str) -> None:
    labels = [drawn[(i - shift) % len(drawn)].boxes for i in range(len(drawn))]
    pages = [replace(page, boxes=boxes) for page, boxes in zip(drawn, labels, strict=True)]
    [reason] = reasons(pages)
    assert said in reason


def test_too_few_pages_show_nothing(drawn: list[Page]) -> None:
    assert reasons(moved(drawn[:3], lambda points, _: points[:, ::-1])) == []


def quads(*lefts_and_tops: tuple[float, float], size: tuple[float, float] = (20, 8)) -> str:
    lines = []
    for x, y in lefts_and_tops:
        right, bottom = x + size[0], y + size[1]
        lines.append(f"{x},{y},{right},{y},{right},{bottom},{x},{bottom},w")
    return "\n".join(lines)


def errors(root: Path) -> list[tuple[str, int | str | None, str]]:
    return [(p.file, p.line, p.reason) for p in check_data(root).of_level("error")]


def test_coordinates_from_0_to_1_are_one_error_a_page(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text=quads((0.1, 0.1), (0.1, 0.4), (0.5, 0.6), size=(0.2, 0.1)))
    [(file, line, reason)] = errors(root)
    assert (file, line) == ("images/a.jpg", None)
    assert "coordinates from 0 to 1" in reason


def test_outlines_that_fit_a_page_only_with_x_and_y_swapped(
    root: Path, write_page: WritePage
) -> None:
    # The page is 64 wide and 48 high.
    write_page(name="a", text=quads((2, 2), (10, 50), (20, 52), size=(8, 10)))
    [(file, line, reason)] = errors(root)
    assert (file, line) == ("images/a.jpg", None)
    assert "fit it with x and y swapped" in reason


def test_outlines_of_the_picture_as_it_is_stored(root: Path, write_page: WritePage) -> None:
    path = write_page(name="a", text=quads((2, 2), (40, 10), (50, 20), size=(12, 8)))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned: 48 wide and 64 high
    Image.open(path).save(path, exif=exif)
    [(_, _, reason)] = errors(root)
    assert "as it is stored, 64x48, and not upright, 48x64" in reason
    assert "EXIF" in reason


def test_outlines_that_all_lie_outside(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text=quads((100, 2), (100, 20), (120, 30)))
    [(_, _, reason)] = errors(root)
    assert "no outline of 3 lies in the picture, 64x48" in reason


def test_one_stray_outline_is_named_by_its_line(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text=quads((2, 2), (2, 12), (2, 22), (2, 50), size=(10, 6)))
    assert errors(root) == [("gt/a.txt", 4, "the box lies outside the image, 64x48 pixels")]


def test_a_data_set_without_any_text_says_so(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text="2,2,30,2,30,10,2,10,###")
    [problem] = [p for p in check_data(root).problems if p.file == "."]
    assert problem.reason == (
        "no box of 1 is text: all are don't care: there is no text to train on or to score"
    )
    (root / "gt" / "a.txt").write_text("", encoding="utf-8")
    assert "no page has a box: there is no text" in str(check_data(root).to_json())


def test_a_training_warns_before_it_begins(
    drawn: list[Page], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "swapped"
    (root / "images").mkdir(parents=True)
    words = {}
    for number, page in enumerate(moved(drawn[:8], lambda points, _: points[:, ::-1])):
        name = f"{number}{page.image.suffix}"
        with Image.open(page.image) as image:
            side = max(image.size)
            square = Image.new("RGB", (side, side), "white")  # no outline leaves it
            square.paste(image)
            square.save(root / "images" / name)
        boxes = {str(i): {"points": b.points.tolist()} for i, b in enumerate(page.boxes)}
        words[name] = {"words": boxes}
    (root / "words.json").write_text(json.dumps({"images": words}), encoding="utf-8")
    split_pages(load_config(["preset=quickstart", f"data.path={root}"]))
    assert "warning: x and y are swapped" in capsys.readouterr().out


def test_a_data_set_with_such_labels_is_refused(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text=quads((0.1, 0.1), (0.1, 0.4), (0.5, 0.6), size=(0.2, 0.1)))
    with pytest.raises(DataError, match="coordinates from 0 to 1"):
        DataSet.read(root).pages()


def _warnings(root: Path) -> str:
    return " ".join(problem.reason for problem in check_data(root).of_level("warning"))


def _rows(quad: str, count: int = 12) -> str:
    numbers = [int(value) for value in quad.split(",")]
    rows = ([*zip(numbers[::2], numbers[1::2], strict=True)] for _ in range(count))
    return "\n".join(
        ",".join(f"{x},{y + 20 * i}" for x, y in row) + ",TOTAL" for i, row in enumerate(rows)
    )


def test_boxes_of_a_pixel_are_said_to_be_too_small(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text=_rows("10,10,60,10,60,11,10,11", 3), size=(200, 300))
    assert "3 boxes of 3 are less than 2 pixels thick" in _warnings(root)


@pytest.mark.parametrize(
    ("quad", "said"),
    [
        ("60,10,60,20,10,20,10,10", "from top to bottom"),
        ("60,20,10,20,10,10,60,10", "from right to left"),
        ("10,20,10,10,60,10,60,20", "from top to bottom"),
    ],
)
def test_outlines_that_begin_at_another_corner_are_said(
    quad: str, said: str, root: Path, write_page: WritePage
) -> None:
    write_page(name="a", text=_rows(quad), size=(200, 300))
    assert (
        f"12 of 12 long outlines begin at a corner from which their text runs {said}"
        in _warnings(root)
    )


def test_usual_outlines_are_no_matter(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text=_rows("10,10,60,10,60,20,10,20"), size=(200, 300))
    assert "long outlines" not in _warnings(root)
