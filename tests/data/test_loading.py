"""Crops that other processes prepare, however a system starts them."""

import multiprocessing

import pytest
import torch

from detector.config.loading import load_config
from detector.data.batches import Batch, training_batches
from detector.data.folds import Folds

ONE_PROCESS = [
    "preset=quickstart",
    "data.crop_size=64",
    "data.resize.side=128",
    "data.batch_size=2",
]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_crops_are_the_same_from_any_process(method: str, folds: Folds) -> None:
    here, _ = training_batches(folds.training(0), load_config(ONE_PROCESS))
    there, _ = training_batches(
        folds.training(0), load_config([*ONE_PROCESS, "data.num_workers=1"])
    )
    there.multiprocessing_context = method
    expected: Batch = next(iter(here))
    found: Batch = next(iter(there))
    assert found.pages == expected.pages
    assert torch.equal(found.pictures, expected.pictures)
    assert torch.equal(found.shrink_map, expected.shrink_map)
