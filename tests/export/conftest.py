"""A network that has learnt a little: an untrained one saturates, and would agree with anything."""

from pathlib import Path

import pytest

from detector.config.loading import load_config
from detector.data.folds import Folds
from detector.training.run import train


@pytest.fixture(scope="session")
def checkpoints(folds: Folds, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    config = load_config(
        [
            "preset=quickstart",
            "data.resize.side=256",
            "data.crop_size=128",
            "data.batch_size=2",
            "models.encoder.model_name=mobilenetv3_small_050",
            "models.decoder.inner_channels=16",
            "models.optimizer.lr=0.005",
            "trainer.ema_decay=0.98",
            "models.scheduler.T_max=2",
            "trainer.max_epochs=2",
        ]
    )
    base = tmp_path_factory.mktemp("folds")
    return {
        f"fold {k}": train(config, folds, k, base / str(k), lambda _: True).checkpoint
        for k in (0, 1)
    }
