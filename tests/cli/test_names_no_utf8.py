"""Names that are no valid UTF-8: those of a data set's files are spelt out, and the others refused,
before there is a result that cannot hold them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.data.check import check_data
from tests.cli.shell import Ended, detsweep

NAME = os.fsdecode(b"caf\xe9")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")


def refused(ended: Ended) -> None:
    assert ended.code == 2, ended.output
    assert "caf\\udce9" in ended.output
    assert "is no valid UTF-8" in ended.output
    assert "rename it" in ended.output


def renamed(image: Path) -> Path:
    labels = image.parents[1] / "gt"
    (labels / f"{image.stem}.txt").rename(labels / f"{NAME}.txt")
    return image.rename(image.with_stem(NAME))


def test_an_image(model: Path, root: Path, write_page: Callable[..., Path], tmp_path: Path) -> None:
    write_page("train", "whole")
    renamed(write_page("train", "other"))
    write_page("val", "third")
    assert [page.name for page in check_data(root).pages][:2] == [
        "train/images/caf\\udce9.jpg",
        "train/images/whole.jpg",
    ]
    assert detsweep("data", "convert", root, tmp_path / "words", "--to", "words").code == 0
    copy = check_data(tmp_path / "words")
    assert (len(copy.pages), copy.problems) == (3, ())
    assert copy.pages[0].name == "train/images/caf_udce9.jpg"
    assert detsweep("evaluate", "--data", root, "--model", model, "--all").code == 0


def test_a_data_set_and_a_store(root: Path, tmp_path: Path) -> None:
    refused(detsweep("train", f"data.path={tmp_path / NAME}"))
    refused(detsweep("plan", "--data", NAME, "--sweep", "sweeps/quickstart.yaml"))
    refused(detsweep("sweep", "best", "id", "--store", tmp_path / NAME))
    file = Path(__file__).parents[2] / "sweeps" / "quickstart.yaml"
    refused(detsweep("sweep", "init", file, "--data", root, "--store", tmp_path / NAME))


def test_an_image_to_predict(model: Path, write_page: Callable[..., Path]) -> None:
    refused(detsweep("predict", renamed(write_page()), "--model", model))


def test_a_transcription(root: Path, write_page: Callable[..., Path], tmp_path: Path) -> None:
    image = write_page("", "a")
    (root / "gt" / "a.txt").unlink()
    (root / "gt").rmdir()
    word = '{"points": [[1, 1], [9, 1], [9, 9]], "transcription": "caf\\udce9"}'
    words = f'{{"images": {{"{image.name}": {{"words": {{"1": {word}}}}}}}}}'
    (root / "words.json").write_text(words, encoding="ascii")
    checked = detsweep("data", "check", root)
    assert checked.code == 1
    assert "no valid" in checked.output
