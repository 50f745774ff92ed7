"""The full check: every damaged image and box is found and said, and none is used."""

import json
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from detector.data.check import CheckReport, check_data

WritePage = Callable[..., Path]

_GOOD = "2,2,30,2,30,10,2,10,good"


def _errors(report: CheckReport) -> dict[tuple[str, int | str | None], str]:
    return {(p.file, p.line): p.reason for p in report.of_level("error")}


def _usable(report: CheckReport) -> list[str]:
    return [page.image.stem for page in report.pages]


def test_sound_data_set_has_no_problems(root: Path, write_page: WritePage) -> None:
    write_page("train", "a", lines=3)
    write_page("val", "b", text=f"{_GOOD}\n2,12,30,12,30,20,2,20,###")
    report = check_data(root)
    assert report.problems == ()
    assert report.facts() == {
        "pages": 2,
        "held_out_pages": 1,
        "boxes": 5,
        "ignored_boxes": 1,
        "group_column": None,
        "labels": "ICDAR 2015: 8 numbers, text (2 files)",
        "groups": 0,
        "errors": 0,
        "skipped": 0,
        "warnings": 0,
    }


def test_truncated_jpeg_is_an_error(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    image = write_page(name="b", size=(640, 480))
    content = image.read_bytes()
    image.write_bytes(content[: len(content) // 2])
    report = check_data(root)
    assert "truncated" in _errors(report)["images/b.jpg", None]
    assert _usable(report) == ["a"]


def test_file_that_is_no_image_is_an_error(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    write_page(name="b").write_bytes(b"")
    report = check_data(root)
    assert _errors(report) == {("images/b.jpg", None): "not an image of a known format"}
    assert _usable(report) == ["a"]


def test_dangling_link_is_an_error(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    image = write_page(name="b")
    image.unlink()
    image.symlink_to(root / "moved.jpg")
    assert "moved.jpg, which is gone" in _errors(check_data(root))["images/b.jpg", None]


def test_image_above_the_pixel_limit_is_an_error(root: Path, write_page: WritePage) -> None:
    write_page(name="a", size=(40, 40))
    write_page(name="b", size=(50, 40))
    report = check_data(root, max_pixels=1600)
    assert _errors(report) == {
        ("images/b.jpg", None): "50x40 is 2,000 pixels, more than the 1,600 allowed"
    }
    assert _usable(report) == ["a"]


def test_every_bad_box_is_listed_by_file_and_line(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    write_page(
        name="b",
        text="\n".join(
            [
                _GOOD,
                "2,2,2,2,2,2,2,2,dot",
                "nan,2,30,2,30,10,2,10,nan",
                "900,2,930,2,930,10,900,10,far",
                "2,2,30,2,short",
            ]
        ),
    )
    report = check_data(root)
    assert {place for _, place in _errors(report)} == {2, 3, 4, 5}
    assert {file for file, _ in _errors(report)} == {"gt/b.txt"}
    assert _usable(report) == ["a"]


def test_bad_boxes_are_listed_even_where_the_image_is_damaged(
    root: Path, write_page: WritePage
) -> None:
    write_page(name="a")
    write_page(name="b", text="2,2,2,2,2,2,2,2,dot").write_bytes(b"")
    assert _errors(check_data(root)).keys() == {("images/b.jpg", None), ("gt/b.txt", 1)}


def test_word_of_a_json_is_named_by_image_and_id(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    (root / "gt/a.txt").unlink()
    (root / "gt").rmdir()
    words = {"w7": {"points": [[1, 1], [1, 1], [1, 1]]}}
    (root / "words.json").write_text(
        json.dumps({"images": {"a.jpg": {"words": words}}}), encoding="utf-8"
    )
    assert _errors(check_data(root)) == {("words.json", "a.jpg w7"): "the outline encloses no area"}


def test_box_is_measured_against_the_upright_image(root: Path, write_page: WritePage) -> None:
    # Upright it is 48 wide and 64 high: the box fits, but would not fit the stored pixels.
    image = write_page(name="a", text="2,50,30,50,30,60,2,60,low", size=(64, 48))
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(image) as stored:
        buffer = BytesIO()
        stored.save(buffer, "JPEG", exif=exif)
    image.write_bytes(buffer.getvalue())
    assert check_data(root).problems == ()


def test_box_partly_outside_is_kept_as_annotated_with_a_warning(
    root: Path, write_page: WritePage
) -> None:
    write_page(name="a", text="50,2,70,2,70,10,50,10,edge", size=(64, 48))
    report = check_data(root)
    (warning,) = report.problems
    assert (warning.level, warning.file, warning.line) == ("warning", "gt/a.txt", 1)
    assert warning.reason == "the box reaches 6 pixels over the border"
    assert report.pages[0].boxes[0].points[:, 0].tolist() == [50, 70, 70, 50]


def test_page_without_text_is_used_with_a_warning(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text="\n")
    write_page(name="b")
    report = check_data(root)
    assert [problem.level for problem in report.problems] == ["warning"]
    assert _usable(report) == ["a", "b"]


def test_same_image_twice_is_a_warning_that_says_where(root: Path, write_page: WritePage) -> None:
    first = write_page("train", "a")
    write_page("train", "b").write_bytes(first.read_bytes())
    report = check_data(root)
    assert {problem.file: problem.reason for problem in report.of_level("warning")} == {
        "train/images/b.jpg": "the same image as train/images/a.jpg",
    }
    assert len(report.pages) == 2


def test_same_image_in_both_parts_is_an_error_of_the_page_to_train_on(
    root: Path, write_page: WritePage
) -> None:
    first = write_page("train", "a")
    write_page("val", "c").write_bytes(first.read_bytes())
    report = check_data(root)
    assert [(p.level, p.file) for p in report.problems] == [("error", "train/images/a.jpg")]
    assert "val/images/c.jpg, which is held out" in report.problems[0].reason
    assert [page.name for page in report.pages] == ["val/images/c.jpg"]


def test_training_page_of_a_held_out_group_is_not_usable(root: Path, write_page: WritePage) -> None:
    write_page("train", "a")
    write_page("train", "b")
    write_page("val", "c")
    (root / "index.csv").write_text(
        "split,name,group\ntrain,a,x\ntrain,b,y\nval,c,x\n", encoding="utf-8"
    )
    report = check_data(root)
    assert _usable(report) == ["b", "c"]
    assert report.group_column == "group"


def test_progress_counts_up_to_all_images(root: Path, write_page: WritePage) -> None:
    for name in "abc":
        write_page(name=name)
    calls: list[tuple[int, int]] = []
    check_data(root, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_report_is_json_for_machines(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text=f"{_GOOD}\nbroken")
    tree = json.loads(check_data(root).to_json())
    assert (tree["pages"], tree["errors"]) == (0, 1)
    (problem,) = tree["problems"]
    assert (problem["level"], problem["file"], problem["line"]) == ("error", "gt/a.txt", 2)


@pytest.mark.skipif("DETSWEEP_RECEIPTS" not in os.environ, reason="needs real receipts")
def test_real_receipts_are_sound() -> None:
    report = check_data(Path(os.environ["DETSWEEP_RECEIPTS"]))
    assert report.problems == ()
    assert report.group_column == "store_group"
    assert report.facts()["boxes"] == 11735
