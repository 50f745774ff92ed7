"""Layouts of data sets: which pages a folder holds, and what stands in the way."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.data.convert import write_data_set
from detector.data.data_set import AS_FOUND, DataSet, Reading
from detector.data.output_format import OutputFormat
from detector.errors import DataError

WritePage = Callable[..., Path]

QUAD = "2,2,30,2,30,10,2,10"


def _reasons(root: Path, level: str, reading: Reading = AS_FOUND) -> dict[str, str]:
    problems = DataSet.read(root, reading).problems
    return {problem.file: problem.reason for problem in problems if problem.level == level}


def _write_words_json(path: Path, *names: str) -> None:
    points = [[2, 2], [30, 2], [30, 10], [2, 10]]
    words = {"0001": {"points": points, "transcription": "TOTAL"}}
    path.write_text(
        json.dumps({"images": {name: {"words": words} for name in names}}), encoding="utf-8"
    )


def test_flat_data_set_has_images_and_gt(root: Path, write_page: WritePage) -> None:
    write_page(name="b")
    write_page(name="a", lines=3)
    pages = DataSet.read(root).pages()
    assert [page.name for page in pages] == ["images/a.jpg", "images/b.jpg"]
    assert [len(page.boxes) for page in pages] == [3, 1]
    assert pages[0].image == root / "images" / "a.jpg"
    assert not any(page.held_out for page in pages)


@pytest.mark.parametrize("held_out", ["val", "test", "held_out"])
def test_second_split_is_held_out(held_out: str, root: Path, write_page: WritePage) -> None:
    write_page("train", "a")
    write_page(held_out, "a")
    held = {page.name: page.held_out for page in DataSet.read(root).pages()}
    assert held == {"train/images/a.jpg": False, f"{held_out}/images/a.jpg": True}


def test_annotation_may_be_named_as_icdar_2015_does(root: Path, write_page: WritePage) -> None:
    write_page(name="img_1")
    (root / "gt/img_1.txt").rename(root / "gt/gt_img_1.txt")
    assert len(DataSet.read(root).pages()[0].boxes) == 1


def test_image_that_is_itself_named_gt_keeps_its_annotation(
    root: Path, write_page: WritePage
) -> None:
    write_page(name="gt_1", lines=2)
    write_page(name="1")
    (root / "gt/1.txt").unlink()
    assert [(page.name, len(page.boxes)) for page in DataSet.read(root).pages()] == [
        ("images/gt_1.jpg", 2)
    ]
    assert _reasons(root, "skip") == {"images/1.jpg": "has no labels"}


def test_words_json_beside_images_annotates_them(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    shutil.rmtree(root / "gt")
    _write_words_json(root / "labels.json", "a.jpg")
    (page,) = DataSet.read(root).pages()
    assert (page.name, page.boxes[0].text) == ("images/a.jpg", "TOTAL")


def test_each_split_may_have_its_words_json(root: Path, write_page: WritePage) -> None:
    for split in ("train", "val"):
        write_page(split, "a")
        shutil.rmtree(root / split / "gt")
        _write_words_json(root / split / "words.json", "a.jpg")
    assert [(page.name, page.held_out) for page in DataSet.read(root).pages()] == [
        ("train/images/a.jpg", False),
        ("val/images/a.jpg", True),
    ]


def test_words_json_that_names_a_missing_image_is_an_error(
    root: Path, write_page: WritePage
) -> None:
    write_page(name="a")
    shutil.rmtree(root / "gt")
    _write_words_json(root / "words.json", "a.jpg", "b.jpg")
    with pytest.raises(DataError, match=r"words\.json:b\.jpg: no such image"):
        DataSet.read(root).pages()


def test_size_that_a_words_json_declares_must_be_the_images(
    root: Path, write_page: WritePage
) -> None:
    write_page(name="a", size=(64, 48))
    shutil.rmtree(root / "gt")
    words = {"images": {"a.jpg": {"words": {}, "img_w": 48, "img_h": 64}}}
    (root / "words.json").write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(DataError, match=r"images/a\.jpg: is 64x48, but annotated as 48x64"):
        DataSet.read(root).pages()


def test_two_words_json_are_an_error(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    shutil.rmtree(root / "gt")
    for name in ("one.json", "two.json"):
        _write_words_json(root / name, "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: has two annotations: one\.json and two\.json"):
        DataSet.read(root).pages()


@pytest.mark.parametrize(
    ("splits", "problem"),
    [
        ([], "holds no images, and no folder of them"),
        (["", "train"], "has images/ beside train"),
        (["val"], "holds val/ alone"),
    ],
)
def test_other_layouts_are_errors_that_show_the_right_one(
    splits: list[str], problem: str, root: Path, write_page: WritePage
) -> None:
    for split in splits:
        write_page(split)
    with pytest.raises(DataError, match="lay it out as images/ and gt/") as raised:
        DataSet.read(root).pages()
    assert problem in raised.value.problem


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        DataSet.read(tmp_path / "nowhere").pages()


def test_image_without_annotation_is_left_out_and_said(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    write_page(name="b")
    (root / "gt/b.txt").unlink()
    assert [page.name for page in DataSet.read(root).pages()] == ["images/a.jpg"]
    assert _reasons(root, "skip") == {"images/b.jpg": "has no labels"}


def test_annotation_without_image_is_an_error(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    (root / "gt/lost.txt").write_text(QUAD, encoding="utf-8")
    with pytest.raises(DataError, match=r"gt/lost\.txt: annotates no image"):
        DataSet.read(root).pages()


def test_image_with_two_annotations_is_an_error(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    (root / "gt/gt_a.txt").write_text(QUAD, encoding="utf-8")
    assert _reasons(root, "error") == {
        "images/a.jpg": "has two annotations: gt/a.txt and gt/gt_a.txt"
    }


def test_split_without_annotations_is_left_out_as_a_whole(
    root: Path, write_page: WritePage
) -> None:
    write_page("train", "a")
    write_page("test", "a")
    shutil.rmtree(root / "test/gt")
    assert [page.name for page in DataSet.read(root).pages()] == ["train/images/a.jpg"]
    assert "1 image not used" in _reasons(root, "skip")["test/images"]


@pytest.mark.timeout(20)
def test_a_pipe_beside_the_images_is_refused_and_not_waited_for(
    root: Path, write_page: WritePage
) -> None:
    if sys.platform == "win32":
        pytest.skip("its `os` has no pipes")
    write_page(name="a")
    os.mkfifo(root / "images/b.jpg")
    (root / "gt/b.txt").write_text("0,0,9,0,9,9,0,9,b\n", encoding="utf-8")
    assert _reasons(root, "error")["images/b.jpg"] == "is a pipe or a device, no file"


def test_an_empty_split_is_said(root: Path, write_page: WritePage) -> None:
    write_page("train", "a")
    (root / "val/images").mkdir(parents=True)
    (root / "val/gt").mkdir()
    assert "a part of the training pages is held out" in _reasons(root, "warning")["val/images"]
    assert [page.name for page in DataSet.read(root).pages()] == ["train/images/a.jpg"]


def test_other_files_beside_the_images_are_left_out_and_said(
    root: Path, write_page: WritePage
) -> None:
    write_page(name="a")
    (root / "images/notes.md").touch()
    (root / "images/more").mkdir()
    (root / "images/.DS_Store").touch()
    assert _reasons(root, "skip") == {
        "images/more": "folders in images/ are not read",
        "images/notes.md": "not an image by its name",
    }


def test_images_that_share_an_annotation_are_errors(root: Path, write_page: WritePage) -> None:
    write_page(name="a", suffix=".jpg")
    write_page(name="a", suffix=".png")
    assert _reasons(root, "error").keys() == {"images/a.jpg", "images/a.png"}


def test_names_that_differ_by_case_alone_are_warnings(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    write_page(name="A")
    assert _reasons(root, "error") == {}
    assert _reasons(root, "warning").keys() == {"images/a.jpg", "images/A.jpg"}


def test_bad_line_is_an_error_with_its_number(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text=f"{QUAD},good\n1,2,3,TOTAL")
    with pytest.raises(DataError, match=r"gt/a\.txt:2: field 4 of the 8 coordinates is 'TOTAL'"):
        DataSet.read(root).pages()


def test_box_outside_its_image_is_an_error(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text="500,2,530,2,530,10,500,10,far", size=(64, 48))
    with pytest.raises(DataError, match=r"gt/a\.txt:1: the box lies outside the image, 64x48"):
        DataSet.read(root).pages()


def test_error_names_the_first_few_of_many_and_a_remedy(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text="\n".join(["broken"] * 8))
    with pytest.raises(DataError) as raised:
        DataSet.read(root).pages()
    text = str(raised.value)
    assert "the data set has 8 errors" in text
    assert "gt/a.txt:5" in text
    assert "gt/a.txt:6" not in text
    assert "and 3 more" in text
    assert "--drop-bad" in text


@pytest.mark.parametrize(
    ("header", "asked", "taken"),
    [
        ("split,name,group", None, "group"),
        ("split,name,store_group", None, "store_group"),
        ("split,name,store_group,group", None, "group"),
        ("split,name,store_group,city_group", None, None),
        ("split,name,store_group,city_group", "city_group", "city_group"),
        ("split,name,width", None, None),
        ("split,name,width", "width", "width"),
    ],
)
def test_group_column_is_asked_for_or_the_only_one_there_is(
    header: str, asked: str | None, taken: str | None, root: Path, write_page: WritePage
) -> None:
    write_page("train", "a")
    columns = header.split(",")
    row = {"split": "train", "name": "a", **{column: f"in {column}" for column in columns[2:]}}
    (root / "index.csv").write_text(
        f"{header}\n{','.join(row[c] for c in columns)}\n", encoding="utf-8"
    )
    data_set = DataSet.read(root, Reading(asked))
    assert data_set.group_column == taken
    assert data_set.labelled[0].page.group == (f"in {taken}" if taken else None)


def test_several_group_columns_are_a_warning(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    (root / "index.csv").write_text("name,store_group,city_group\na,1,2\n", encoding="utf-8")
    assert "store_group, city_group: none is taken" in _reasons(root, "warning")["index.csv"]


def test_index_of_a_flat_data_set_needs_no_split(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    write_page(name="b.7")
    (root / "index.csv").write_text("name,group\na.jpg,x\nb.7,y\n", encoding="utf-8")
    assert [page.group for page in DataSet.read(root).pages()] == ["x", "y"]


def test_index_of_a_flat_data_set_may_say_what_is_held_out(
    root: Path, write_page: WritePage
) -> None:
    for name in ("a", "b", "c"):
        write_page(name=name)
    index = root / "index.csv"
    index.write_text("Name;Split\na.jpg;train\nb.jpg;val\nc.jpg;train\n", encoding="utf-8")
    assert [page.held_out for page in DataSet.read(root).pages()] == [False, True, False]
    index.write_text("name,split\na,train\nb,val\nc,test\n", encoding="utf-8")
    with pytest.raises(DataError, match="2 parts that may be held out: test, val"):
        DataSet.read(root)
    pages = DataSet.read(root, Reading(held_out="test")).pages()
    assert [page.held_out for page in pages] == [False, False, True]


def test_a_row_of_the_index_that_names_no_image_is_an_error(
    root: Path, write_page: WritePage
) -> None:
    write_page("train", "a")
    write_page("val", "B")
    rows = "split,name,group\nTrain,A.JPG,x\n\n,b,y\ntrain,c,x\nval,a,x\n"
    (root / "index.csv").write_text(rows, encoding="utf-8")
    data = DataSet.read(root)
    assert [item.page.group for item in data.labelled] == ["x", "y"]
    assert [str(problem) for problem in data.problems] == [
        "index.csv:5: 'c' names no image, nor do 1 other row"
    ]


def test_asking_for_a_column_that_is_not_there_is_an_error(
    root: Path, write_page: WritePage
) -> None:
    write_page(name="a")
    with pytest.raises(DataError, match=r"there is no index\.csv"):
        DataSet.read(root, Reading("shop")).pages()
    (root / "index.csv").write_text("name,group\na,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="has no column 'shop', only name, group"):
        DataSet.read(root, Reading("shop")).pages()


def test_page_without_a_group_is_a_warning(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    write_page(name="b")
    (root / "index.csv").write_text("name,group\na,x\n", encoding="utf-8")
    assert _reasons(root, "warning") == {"images/b.jpg": "has no group in index.csv"}


def test_group_on_both_sides_of_the_split_is_an_error_at_the_training_page(
    root: Path, write_page: WritePage
) -> None:
    write_page("train", "a")
    write_page("train", "b")
    write_page("val", "c")
    (root / "index.csv").write_text(
        "split,name,group\ntrain,a,x\ntrain,b,y\nval,c,x\n", encoding="utf-8"
    )
    assert _reasons(root, "error") == {
        "train/images/a.jpg": "is for training, but its group 'x' is held out"
    }


def test_data_set_without_any_annotation_is_an_error(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    (root / "gt/a.txt").unlink()
    with pytest.raises(DataError, match="no image has an annotation"):
        DataSet.read(root).pages()


def test_what_tools_leave_beside_labels_is_said_once(root: Path, write_page: WritePage) -> None:
    for split in ("train", "val"):
        write_page(split, "a")
    (root / "classes.txt").write_text("text\n", encoding="utf-8")
    (root / "fileState.txt").write_text("images/a.jpg\t1\n", encoding="utf-8")
    problems = DataSet.read(root).problems
    assert [(problem.level, problem.file, problem.reason) for problem in problems] == [
        ("skip", "classes.txt", "holds no labels"),
        ("skip", "fileState.txt", "holds no labels"),
    ]


def _move(root: Path, moves: dict[str, str]) -> None:
    for source, target in moves.items():
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        (root / source).rename(root / target)


_OWN_LAYOUTS: dict[str, dict[str, str]] = {
    "ICDAR 2015": {
        "train/images": "ch4_training_images",
        "train/gt": "ch4_training_localization_transcription_gt",
        "val/images": "ch4_test_images",
        "val/gt": "Challenge4_Test_Task1_GT",
    },
    "FUNSD": {
        "train/images": "dataset/training_data/images",
        "train/gt": "dataset/training_data/annotations",
        "val/images": "dataset/testing_data/images",
        "val/gt": "dataset/testing_data/annotations",
    },
    "Total-Text": {
        "train/images": "Images/Train",
        "train/gt": "Groundtruth/Polygon/Train",
        "val/images": "Images/Test",
        "val/gt": "Groundtruth/Polygon/Test",
    },
}


@pytest.mark.parametrize("name", _OWN_LAYOUTS)
def test_data_sets_are_read_as_they_are_unpacked(
    name: str, root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    write_page("train", "img_1", lines=2)
    write_page("val", "img_1", lines=3)
    _move(root, _OWN_LAYOUTS[name])
    for folder in ("train", "val"):
        (root / folder).rmdir()
    (root / "__MACOSX").mkdir()
    pages = DataSet.read(root).pages()
    assert {(page.held_out, len(page.boxes)) for page in pages} == {(False, 2), (True, 3)}
    write_data_set(pages, tmp_path / "copy", OutputFormat.WORDS)
    assert [page.held_out for page in DataSet.read(tmp_path / "copy").pages()].count(True) == 1


def test_a_folder_of_word_pictures_is_no_part(root: Path, write_page: WritePage) -> None:
    write_page("train", "img_1")
    write_page("val", "img_1")
    write_page("words", "word_1")
    _move(root, {**_OWN_LAYOUTS["ICDAR 2015"], "words/images": "ch4_training_word_images_gt"})
    assert len(DataSet.read(root).pages()) == 2


def test_files_of_labels_say_by_their_names_what_is_held_out(
    root: Path, write_page: WritePage
) -> None:
    """WildReceipt, whose images lie two folders deep."""
    for name in ("a", "b", "c"):
        image = write_page(name=name)
        _move(root, {f"images/{name}.jpg": f"image_files/Image_{name}/0/{name}.jpg"})
        line = {"file_name": f"image_files/Image_{name}/0/{image.name}", "annotations": []}
        part = "test" if name == "c" else "train"
        with (root / f"{part}.txt").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    shutil.rmtree(root / "gt")
    shutil.rmtree(root / "images")
    assert [(page.image.stem, page.held_out) for page in DataSet.read(root).pages()] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]
    (root / "train.txt").rename(root / "val.txt")
    assert not any(page.held_out for page in DataSet.read(root).pages())
    both = (root / "val.txt").read_text("utf-8") + (root / "test.txt").read_text("utf-8")
    for name in ("val.txt", "test.txt"):
        (root / name).unlink()
    (root / "train_and_test.txt").write_text(both, encoding="utf-8")
    assert not any(page.held_out for page in DataSet.read(root).pages())
    (root / "train_and_test.txt").rename(root / "train.txt")
    (root / "index.csv").write_text("name,split\na,dev\nb,train\nc,train\n", encoding="utf-8")
    held_out = [page.held_out for page in DataSet.read(root, Reading(held_out="dev")).pages()]
    assert held_out == [True, False, False]


def test_pages_are_grouped_by_their_names(root: Path, write_page: WritePage) -> None:
    for part, name in (
        ("train", "shop1_a"),
        ("train", "shop1_b"),
        ("train", "x"),
        ("val", "shop2"),
    ):
        write_page(part, name)
    data = DataSet.read(root, Reading(group_by="^shop([0-9]+)"))
    assert [page.group for page in data.pages()] == ["1", "1", None, "2"]
    assert _reasons(root, "warning", Reading(group_by="^shop([0-9]+)")) == {
        "train/images/x.jpg": "has no group by ^shop([0-9]+)"
    }
    with pytest.raises(DataError, match="its group 'shop' is held out"):
        DataSet.read(root, Reading(group_by="shop")).pages()
    with pytest.raises(DataError, match="is no regular expression"):
        DataSet.read(root, Reading(group_by="("))
    with pytest.raises(DataError, match="is set beside data"):
        DataSet.read(root, Reading("group", group_by="x"))


def test_pages_are_grouped_by_their_folders(root: Path, write_page: WritePage) -> None:
    for name in ("a", "b", "c"):
        write_page(name=name)
        _move(root, {f"images/{name}.jpg": f"images/{'one' if name < 'c' else 'two'}/{name}.jpg"})
    pages = DataSet.read(root, Reading(group_by="folder")).pages()
    assert [page.group for page in pages] == ["one", "one", "two"]
