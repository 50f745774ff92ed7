"""The baseline of the gate at the end, where it is a file at an object store."""

import tempfile
from pathlib import Path

import pytest
import s3fs

from detector.errors import ExportError
from detector.steps.promote import require_baseline


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_baseline_that_is_not_there_is_refused(s3_bucket: str, scratch: Path) -> None:
    with pytest.raises(ExportError, match="there is no such baseline"):
        require_baseline(f"{s3_bucket}/no-model.onnx")
    assert list(scratch.iterdir()) == []


def test_no_copy_of_a_baseline_is_left_behind(s3_bucket: str, scratch: Path) -> None:
    s3fs.S3FileSystem().pipe_file(f"{s3_bucket}/words.onnx", b"no model")
    with pytest.raises(ExportError, match=r"words\.onnx"):
        require_baseline(f"{s3_bucket}/words.onnx")
    assert list(scratch.iterdir()) == []
