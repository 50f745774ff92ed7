"""Files whose names are no valid UTF-8 are named and refused, before there is a result that cannot
hold them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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


def test_an_image(root: Path, write_page: Callable[..., Path], tmp_path: Path) -> None:
    write_page("train", "whole")
    renamed(write_page("train", "other"))
    checked = detsweep("data", "check", root, "--json")
    assert checked.code == 1
    assert "caf\\\\udce9.jpg" in checked.output
    refused(detsweep("data", "folds", root, "--count", "2", "--out", tmp_path / "folds.json"))
    refused(detsweep("data", "convert", root, tmp_path / "words", "--to", "words"))


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
