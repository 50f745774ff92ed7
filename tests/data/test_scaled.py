import shutil
from pathlib import Path

import numpy as np
import pytest

from detector.config.schema import DataConfig
from detector.data.data_set import DataSet
from detector.data.scaled import ScaledPages
from detector.data.synthetic.drawing import draw_receipts
from detector.errors import DataError


def test_pages_are_read_once_as_far_as_memory_goes(tmp_path: Path) -> None:
    draw_receipts(tmp_path / "receipts", train=2, held_out=0, seed=1)
    pages = DataSet.read(tmp_path / "receipts").pages()
    data = DataConfig()
    one_page = ScaledPages(pages, data)[0].pixels.nbytes
    scaled = ScaledPages(pages, data, max_bytes=one_page)
    kept, not_kept = scaled[0], scaled[1]
    assert not_kept.pixels.any()
    shutil.rmtree(tmp_path / "receipts")
    np.testing.assert_array_equal(scaled[0].pixels, kept.pixels)
    with pytest.raises(DataError, match=pages[1].name):
        scaled[1]
