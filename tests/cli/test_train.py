"""What `detsweep train` refuses before it reads a page."""

from pathlib import Path

from typer.testing import CliRunner

from detector.cli.main import app
from detector.errors import StoreError


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    words = ["preset=quickstart", "data.path=nowhere", "--run-dir", str(tmp_path / "file" / "run")]
    result = CliRunner().invoke(app, ["train", *words])
    assert isinstance(result.exception, StoreError)
    assert "is a file, and no folder" in str(result.exception)
