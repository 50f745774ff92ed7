"""How fast this machine's device trains and validates: a few real steps and pages, timed."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from detector.config.schema import Config
from detector.data.batches import Batch
from detector.data.fit import require_text
from detector.data.folds import SWEEP_FOLD, Folds
from detector.model.dbnet import DBNet
from detector.training.device import device_name
from detector.training.group import start_fabric
from detector.training.parts import Parts, build_parts
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
    pages = folds.training(SWEEP_FOLD)
    require_text(pages, "training")
    require_text(folds.validation(SWEEP_FOLD), "validation")
    fabric = start_fabric(config.trainer)
    parts = build_parts(config, pages, fabric)
    durations = _step_seconds(parts, config.models.optimizer.lr, started, seconds)
    return Throughput(
        device=device_name(fabric.device.type),
        step_seconds=median(durations[_WARM_UP:] or durations[-1:]),
        page_seconds=_page_seconds(parts.network, folds, config),
        start_seconds=durations[0],
        batch=parts.stepper.micro_batch,
    )


def _step_seconds(parts: Parts, rate: float, started: float, seconds: float) -> list[float]:
    """Of each step; the first holds all that there was since `started`."""
    parts.model.train()
    durations = []
    begun = started
    for batch in itertools.islice(_epochs(parts), _MOST_STEPS):
        parts.stepper.step(batch, rate)
        now = time.perf_counter()
        durations.append(now - begun)
        begun = now
        if now - started > seconds and len(durations) >= _WARM_UP:
            break
    return durations


def _epochs(parts: Parts) -> Iterator[Batch]:
    """The batches of one epoch after the other."""
    for epoch in itertools.count(1):
        parts.batches.epoch = epoch
        yield from parts.loader


def _page_seconds(network: DBNet, folds: Folds, config: Config) -> float:
    """Of a page that is at its scale already, as in all epochs but the first."""
    pages = folds.validation(SWEEP_FOLD)[:_MOST_PAGES]
    validation = Validation(pages, config)
    network.eval()
    validation.score(network)
    started = time.perf_counter()
    validation.score(network)
    return (time.perf_counter() - started) / len(pages)
