"""How fast this machine's device trains and validates: a few real steps and pages, timed."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from detector.config import Config
from detector.data.dataset import Batch
from detector.data.folds import SWEEP_FOLD, Folds
from detector.tracking import UNTRACKED
from detector.training.run import TrainingRun
from detector.training.validate import Validation

_WARM_UP = 2
_MOST_STEPS, _MOST_PAGES = 30, 8


@dataclass(frozen=True)
class Throughput:
    """Seconds on one device.

    Attributes:
        device: what was measured, as a person names it.
        step_seconds: of an optimizer step, waiting for its crops included.
        page_seconds: of a validated page.
        start_seconds: until a training takes its first step, that one included.
        batch: crops that a step takes at once; fewer than the configuration says where the memory
            did not suffice.
    """

    device: str
    step_seconds: float
    page_seconds: float
    start_seconds: float
    batch: int


def measure_throughput(config: Config, folds: Folds, seconds: float = 45.0) -> Throughput:
    """Begin a trial's training and time it. What it has trained is thrown away.

    Pages are validated by a network that is not trained, whose maps hold less text to outline than
    a trained one's.

    Args:
        seconds: how long to train at most; two steps are taken however long they last.

    Raises:
        DataError, TrainingError: as a training's.
    """
    started = time.perf_counter()
    with TemporaryDirectory(prefix="detsweep-plan-") as folder:
        run = TrainingRun(config, folds, SWEEP_FOLD, Path(folder), UNTRACKED)
        run.model.train()
        durations = []
        begun = started
        for batch in itertools.islice(_epochs(run), _MOST_STEPS):
            run.stepper.step(batch, config.models.optimizer.lr)
            now = time.perf_counter()
            durations.append(now - begun)
            begun = now
            if now - started > seconds and len(durations) >= _WARM_UP:
                break
        step = median(durations[_WARM_UP:] or durations[-1:])
        page = _page_seconds(run, folds, config)
    return Throughput(_device_name(), step, page, durations[0], run.stepper.micro_batch)


def _epochs(run: TrainingRun) -> Iterator[Batch]:
    """The batches of one epoch after the other."""
    for epoch in itertools.count(1):
        run.batches.epoch = epoch
        yield from run.loader


def _page_seconds(run: TrainingRun, folds: Folds, config: Config) -> float:
    """Of a page that is at its scale already, as in all epochs but the first."""
    pages = folds.validation(SWEEP_FOLD)[:_MOST_PAGES]
    validation, network = Validation(pages, config), run.network.eval()
    validation.score(network)
    started = time.perf_counter()
    validation.score(network)
    return (time.perf_counter() - started) / len(pages)


def _device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{threads} CPU core{'s' if threads > 1 else ''}"
