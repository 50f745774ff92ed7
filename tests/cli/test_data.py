"""The `detsweep data` commands, run as a person runs them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector.cli.data import app
from detector.data.check import check_data
from detector.data.folds import Manifest, open_folds
from detector.errors import DataError

WritePage = Callable[..., Path]


def _run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    if isinstance(result.exception, DataError):
        raise result.exception
    return result.exit_code, result.stdout


def test_check_of_a_sound_data_set_exits_with_0(root: Path, write_page: WritePage) -> None:
    write_page("train", "a", lines=3)
    write_page("val", "b")
    code, output = _run("check", root)
    assert code == 0
    assert "2 usable pages (1 held out), 4 boxes (0 ignored), no groups: 0 errors" in output


def test_check_prints_each_problem_and_exits_with_1(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    write_page(name="[b]", text="broken [red]line")
    code, output = _run("check", root)
    assert code == 1
    (row,) = [line for line in output.splitlines() if "gt/[b].txt" in line]
    assert "error" in row
    assert "field 1 of the 8 coordinates is 'broken [red]line', not a number" in row


def test_check_says_what_to_do(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    write_page(name="b").rename(root / "images/b.tif").write_bytes(b"no image")
    (root / "words.json").write_text("{", encoding="utf-8")
    output = _run("check", root)[1]
    assert "→ restore the file, or save it again" in output
    assert "→ export the labels again" in output
    assert "`detsweep data convert --drop-bad`" in output


def test_check_names_the_group_column_that_it_chose(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    (root / "index.csv").write_text("name,store_group\na,g1\n", encoding="utf-8")
    assert "1 group by store_group" in _run("check", root)[1]


def test_check_prints_json_for_machines(root: Path, write_page: WritePage) -> None:
    write_page(name="a", text="broken")
    code, output = _run("check", root, "--json")
    assert code == 1
    assert json.loads(output)["problems"][0]["file"] == "gt/a.txt"


def test_check_writes_a_page_of_problems(root: Path, write_page: WritePage, tmp_path: Path) -> None:
    write_page(name="a", text="broken")
    assert _run("check", root, "--html", tmp_path / "problems.html")[0] == 1
    page = (tmp_path / "problems.html").read_text(encoding="utf-8")
    assert "gt/a.txt:1" in page


def test_check_takes_its_data_set_from_the_environment(
    root: Path, write_page: WritePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_page(name="a")
    monkeypatch.setenv("DETSWEEP_DATA", str(root))
    assert _run("check")[0] == 0


def test_convert_refuses_a_damaged_data_set(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    write_page(name="a")
    write_page(name="b", text="broken")
    with pytest.raises(DataError, match="--drop-bad"):
        _run("convert", root, tmp_path / "clean")
    assert not (tmp_path / "clean").exists()


def test_convert_leaves_out_bad_pages_when_told(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    write_page(name="a")
    write_page(name="b", text="broken")
    code, output = _run("convert", root, tmp_path / "clean", "--drop-bad", "--to", "words")
    assert code == 0
    assert "gt/b.txt" in output
    assert "wrote 1 page " in output
    assert (tmp_path / "clean/words.json").is_file()
    assert check_data(tmp_path / "clean").problems == ()


def test_folds_writes_a_manifest_that_opens(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    for i in range(8):
        write_page(name=f"p{i}", lines=i + 1)
    code, output = _run("folds", root, "--count", 3, "--seed", 7, "--out", tmp_path / "f.json")
    assert code == 0
    assert "held out" in output
    manifest = Manifest.from_json((tmp_path / "f.json").read_text(encoding="utf-8"))
    assert (manifest.count, manifest.seed) == (3, 7)
    assert len(open_folds(root, manifest).pages) == 8


@pytest.mark.parametrize("share", ["-1", "1", "1.5", "nan"])
def test_a_share_to_hold_out_is_less_than_all(share: str, root: Path) -> None:
    assert _run("folds", root, "--held-out-fraction", share)[0] == 2


def test_synth_draws_a_sound_data_set(tmp_path: Path) -> None:
    code, output = _run("synth", tmp_path / "drawn", "--train", 3, "--held-out", 1)
    assert code == 0
    assert "drew 4 receipts" in output
    report = check_data(tmp_path / "drawn")
    assert report.of_level("error") == []
    assert (len(report.pages), report.facts()["held_out_pages"]) == (4, 1)


def test_convert_joins_words_to_lines(root: Path, write_page: WritePage, tmp_path: Path) -> None:
    write_page(name="a", text="2,2,20,2,20,10,2,10,TEA\n24,2,40,2,40,10,24,10,BAG")
    code, _ = _run("convert", root, tmp_path / "lines", "--level", "line")
    assert code == 0
    written = (tmp_path / "lines" / "gt" / "a.txt").read_text(encoding="utf-8")
    assert written == "2,2,40,2,40,10,2,10,TEA BAG\n"


@pytest.mark.parametrize("inside", ["", "clean", "images/clean"])
def test_convert_does_not_write_into_its_own_source(
    inside: str, root: Path, write_page: WritePage
) -> None:
    write_page(name="a")
    before = sorted(root.rglob("*"))
    with pytest.raises(DataError, match=r"exists already|lies in the data set"):
        _run("convert", root, root / inside)
    assert sorted(root.rglob("*")) == before
