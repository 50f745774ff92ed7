"""A data set and a configuration small enough to train in seconds."""

import pytest

from detector.config import Config, load_config
from detector.data.folds import Folds, make_folds, open_folds
from detector.data.formats import load_pages
from detector.data.synthetic import draw_receipts


@pytest.fixture(scope="session")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    root = tmp_path_factory.mktemp("receipts") / "data"
    draw_receipts(root, train=8, held_out=2, seed=3)
    return open_folds(root, make_folds(load_pages(root), 2, seed=0))


@pytest.fixture(scope="session")
def tiny() -> Config:
    return load_config(
        [
            "preset=quickstart",
            "data.resize.side=128",
            "data.crop_size=64",
            "data.crops_per_page=2",
            "data.batch_size=2",
            "models.encoder.model_name=mobilenetv3_small_050",
            "models.decoder.inner_channels=16",
            "models.scheduler.T_max=3",
            "trainer.max_epochs=3",
        ]
    )
