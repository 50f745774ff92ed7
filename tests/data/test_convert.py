"""Clean copies: another format, the same data."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from detector.data.check import check_data
from detector.data.convert import write_data_set
from detector.data.data_set import DataSet
from detector.data.output_format import OutputFormat
from detector.data.page import Page
from detector.errors import DataError

WritePage = Callable[..., Path]


def _content(pages: Sequence[Page]) -> list[object]:
    return [
        (
            page.name,
            page.image.read_bytes(),
            page.held_out,
            page.group,
            [(box.points.tolist(), box.text, box.ignore) for box in page.boxes],
        )
        for page in pages
    ]


@pytest.mark.parametrize("to", [to for to in OutputFormat if not to.is_for_archives])
@pytest.mark.parametrize("splits", [("", ""), ("train", "val"), ("train", "test")])
def test_copy_holds_the_same_pages(
    to: OutputFormat, splits: tuple[str, str], root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    write_page(splits[0], "a", text="2,2,30,2,30,10,2,10,1,250.00\n2,12,30.5,12,30,20,2,20,###")
    write_page(splits[0], "b", text="2,2,30,2,30,10,2,10\n2,12,30,12,30,20,2,20,")
    write_page(splits[1], "c", lines=3, suffix=".png")
    rows = [f"{splits[0]},a,x", f"{splits[0]},b,y", f"{splits[1]},c,z"]
    (root / "index.csv").write_text("\n".join(["split,name,store_group", *rows]), encoding="utf-8")
    pages = DataSet.read(root).pages()
    write_data_set(pages, tmp_path / "copy", to)
    assert _content(DataSet.read(tmp_path / "copy").pages()) == _content(pages)


def test_words_json_made_from_polygons_becomes_a_polygons_file(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    write_page(name="a", text="# polygons\n2,2,30,2,30,10,2,10,0,6,arc")
    pages = DataSet.read(root).pages()
    write_data_set(pages, tmp_path / "words", OutputFormat.WORDS)
    write_data_set(DataSet.read(tmp_path / "words").pages(), tmp_path / "icdar", OutputFormat.ICDAR)
    assert _content(DataSet.read(tmp_path / "icdar").pages()) == _content(pages)
    assert (tmp_path / "icdar/gt/a.txt").read_text(encoding="utf-8") == (
        "# polygons\n2,2,30,2,30,10,2,10,0,6,arc\n"
    )


def test_copy_of_the_usable_pages_is_sound(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    write_page(name="a")
    write_page(name="b").write_bytes(b"damaged")
    write_page(name="c", text="broken")
    (root / "gt/lost.txt").write_text("", encoding="utf-8")
    write_data_set(check_data(root).pages, tmp_path / "clean", OutputFormat.ICDAR)
    report = check_data(tmp_path / "clean")
    assert report.problems == ()
    assert [page.name for page in report.pages] == ["images/a.jpg"]


def test_folder_in_use_is_not_written_to(root: Path, write_page: WritePage, tmp_path: Path) -> None:
    write_page(name="a")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/notes.md").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="exists already"):
        write_data_set(DataSet.read(root).pages(), tmp_path / "copy", OutputFormat.ICDAR)
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["notes.md"]


def test_copy_that_fails_leaves_nothing_behind(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    write_page(name="a")
    write_page(name="b")
    pages = DataSet.read(root).pages()
    (root / "images/b.jpg").unlink()
    with pytest.raises(FileNotFoundError):
        write_data_set(pages, tmp_path / "out/copy", OutputFormat.ICDAR)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bad_box_costs_that_box_and_its_place_is_dont_care(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    star = "20,20,40,40,10,30,45,25,15,45"
    lines = ["# polygons", "2,2,30,2,30,10,2,10,TOTAL", star, "900,2,930,2,930,10,far", "nonsense"]
    write_page(name="a", text="\n".join(lines), size=(64, 48))
    report = check_data(root)
    assert (report.pages, report.dropped_boxes) == ((), 3)
    write_data_set(report.kept, tmp_path / "clean", OutputFormat.ICDAR)
    (page,) = check_data(tmp_path / "clean").pages
    total, region = page.boxes
    assert (total.text, region.ignore) == ("TOTAL", True)
    assert region.points.min() == 10
    assert region.points.max() == 45


@pytest.mark.parametrize("text", ["*", "TEMPORARY"])
def test_a_text_that_ppocrlabel_reads_as_another_thing_is_refused(
    text: str, root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    write_page(name="a", text=f"2,2,30,2,30,10,2,10,{text}")
    with pytest.raises(DataError, match="another meaning"):
        write_data_set(DataSet.read(root).pages(), tmp_path / "copy", OutputFormat.PPOCR_LABEL)
    assert not (tmp_path / "copy").exists()


def test_a_page_whose_labels_do_not_fit_it_is_left_out(root: Path, write_page: WritePage) -> None:
    write_page(name="a", size=(64, 48))
    lines = [f"2,{y},30,{y},30,{y + 5},2,{y + 5},x" for y in (2, 30, 45, 55)]
    write_page(name="b", text="\n".join(lines), size=(64, 48))
    report = check_data(root)
    assert [page.image.stem for page in report.kept] == ["a"]


def test_what_the_index_of_a_flat_data_set_holds_out_stays_held_out(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        write_page(name=name)
    (root / "index.csv").write_text("name,split\na,train\nb,test\n", encoding="utf-8")
    write_data_set(DataSet.read(root).pages(), tmp_path / "copy", OutputFormat.ICDAR)
    assert [page.held_out for page in DataSet.read(tmp_path / "copy").pages()] == [False, True]


def test_texts_that_icdar_cannot_hold_are_named_by_their_pages(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        write_page(name=name, text="# polygons\n2,2,30,2,30,10,2,10,0,6,arc")
    labelled = DataSet.read(root).pages()
    amounts = [
        replace(page, boxes=tuple(replace(box, text="2.50") for box in page.boxes))
        for page in labelled
    ]
    with pytest.raises(DataError, match=r"images/a\.jpg: .*'2\.50'(.|\n)*images/b\.jpg") as raised:
        write_data_set(amounts, tmp_path / "copy", OutputFormat.ICDAR)
    assert "--to words" in str(raised.value)
