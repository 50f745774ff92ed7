"""A configuration small enough to train in seconds."""

import pytest

from detector.config.loading import load_config
from detector.config.schema import Config

TINY = [
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


@pytest.fixture(scope="session")
def tiny() -> Config:
    return load_config(TINY)
