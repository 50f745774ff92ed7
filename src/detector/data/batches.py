"""Training crops: a page and its boxes go in, a picture and its target maps come out.

A crop is a function of (seed, epoch, position) alone. That is what makes a resumed run see the very
crops that the interrupted one would have seen, with any number of loader processes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from detector.config.schema import Config
from detector.data.augment import apply_warp, change_light, draw_warp, warp_outlines
from detector.data.page import Page
from detector.data.processes import ALONE, Processes, require_equal_shares
from detector.data.scaled import ScaledPages
from detector.data.targets import build_targets

_CACHE_BYTES = 2 * 2**30


class Crop(NamedTuple):
    """One training example; H = W = `data.crop_size`.

    Attributes:
        picture: (3, H, W) uint8 RGB, a view of pixels that lie one after the other (channels last).
        shrink_map, shrink_mask, thresh_mask: (H, W) uint8, 0 or 1.
        thresh_map: (H, W) float32.
        page: name of the page it was cut from.
    """

    picture: Tensor
    shrink_map: Tensor
    shrink_mask: Tensor
    thresh_map: Tensor
    thresh_mask: Tensor
    page: str


class Batch(NamedTuple):
    """Crops side by side: the same fields, each with a first dimension B, and the pages' names."""

    pictures: Tensor
    shrink_map: Tensor
    shrink_mask: Tensor
    thresh_map: Tensor
    thresh_mask: Tensor
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Draw:
    """Which crop to make: the key of a dataset item."""

    epoch: int
    position: int
    page: int


class CropDataset(Dataset[Crop]):
    """Crops of pages, by `Draw`."""

    def __init__(self, pages: Sequence[Page], config: Config):
        self._pages = pages
        self._config = config
        # Each loader process has a copy of its own.
        bound = _CACHE_BYTES // max(1, config.data.num_workers)
        self._scaled = ScaledPages(pages, config.data, bound)

    def __getitem__(self, draw: Draw) -> Crop:
        config = self._config
        rng = np.random.default_rng((config.seed, draw.epoch, draw.position))
        page = self._pages[draw.page]
        resized = self._scaled[draw.page]
        scale = np.array([resized.scale_x, resized.scale_y])
        boxes = page.boxes
        anchor = (boxes[rng.integers(len(boxes))].points * scale).mean(axis=0) if boxes else None
        size = config.data.crop_size
        augment = config.data.augment
        warp = draw_warp(resized.pixels.shape[:2], size, anchor, augment, rng)
        picture = change_light(apply_warp(resized.pixels, warp, size), augment, rng)
        targets = config.models.targets
        maps = build_targets(
            warp_outlines([box.points for box in boxes], warp * [*scale, 1]),
            [box.ignore for box in boxes],
            size,
            size,
            shrink_ratio=targets.shrink_ratio,
            thresh_min=targets.thresh_min,
            thresh_max=targets.thresh_max,
            min_text_size=targets.min_text_size,
        )
        return Crop(
            torch.from_numpy(picture).permute(2, 0, 1),
            torch.from_numpy(maps.shrink_map),
            torch.from_numpy(maps.shrink_mask),
            torch.from_numpy(maps.thresh_map),
            torch.from_numpy(maps.thresh_mask),
            page.name,
        )


class EpochBatches:
    """The batches of one epoch as lists of draws: a batch sampler that can start anywhere.

    Where several processes share each batch, every one draws as much of it: with n processes, the
    k-th takes every n-th place, from the k-th on. So their first m draws are the batch's first n·m.

    Args:
        pages: how many are labelled; each is drawn from in every epoch.
        taught: how many follow them that a model has labelled. Each epoch draws from as many of
            them as there are labelled ones, or from all if they are fewer.
    """

    def __init__(
        self,
        pages: int,
        batch_size: int,
        crops_per_page: int,
        seed: int,
        processes: Processes = ALONE,
        taught: int = 0,
    ):
        self._crops_per_page = crops_per_page
        self._labelled, self._taught = pages, taught
        self._crops = (pages + min(pages, taught)) * crops_per_page
        self._batch_size = min(batch_size, self._crops)
        self._seed = seed
        self._processes = processes
        self.epoch = 1
        self.start = 0

    def __len__(self) -> int:
        """Batches of a whole epoch; the rest that fills no batch is left out, as batch norm would
        suffer from it. Another epoch leaves out others."""
        return self._crops // self._batch_size

    def __iter__(self) -> Iterator[list[Draw]]:
        ours = self._processes
        rng = np.random.default_rng((self._seed, self.epoch))
        order = rng.permutation(np.repeat(self._pages_of_epoch(rng), self._crops_per_page))
        for batch in range(self.start, len(self)):
            first = batch * self._batch_size
            places = range(first, first + self._batch_size)[ours.rank :: ours.world]
            yield [Draw(self.epoch, place, int(order[place])) for place in places]

    def _pages_of_epoch(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """All labelled pages, and as many of the others, so that labels keep half of the say."""
        labelled = np.arange(self._labelled)
        if not self._taught:
            return labelled
        drawn = rng.choice(self._taught, min(self._labelled, self._taught), replace=False)
        return np.concatenate([labelled, self._labelled + drawn])


def training_batches(
    pages: Sequence[Page],
    config: Config,
    processes: Processes = ALONE,
    *,
    taught: Sequence[Page] = (),
    pinned: bool = False,
) -> tuple[DataLoader[Batch], EpochBatches]:
    """A loader of crop batches, and the sampler whose `epoch` and `start` say where it begins.

    It gives a `Batch` of as many crops as one optimizer step takes (`data.batch_size` ×
    `trainer.accumulate_grad_batches`), or this process's share of it.

    Args:
        taught: pages that a model has labelled, besides.
        pinned: whether batches lie in memory that an NVIDIA GPU takes them from faster.

    Raises:
        ConfigError: the batch cannot be shared out evenly.
    """
    data = config.data
    require_equal_shares(config, processes.world, crops=len(pages) * data.crops_per_page)
    batches = EpochBatches(
        len(pages),
        data.batch_size * config.trainer.accumulate_grad_batches,
        data.crops_per_page,
        config.seed,
        processes,
        len(taught),
    )
    # A loader is typed by what its dataset gives, not by what its collate function makes of it.
    loader: DataLoader[Any] = DataLoader(
        CropDataset([*pages, *taught], config),
        batch_sampler=batches,
        num_workers=data.num_workers,
        collate_fn=_side_by_side,
        pin_memory=pinned,
        persistent_workers=data.num_workers > 0,
    )
    return loader, batches


def _side_by_side(crops: list[Crop]) -> Batch:
    batch = Batch(
        pictures=torch.stack([crop.picture for crop in crops]),
        shrink_map=torch.stack([crop.shrink_map for crop in crops]),
        shrink_mask=torch.stack([crop.shrink_mask for crop in crops]),
        thresh_map=torch.stack([crop.thresh_map for crop in crops]),
        thresh_mask=torch.stack([crop.thresh_mask for crop in crops]),
        pages=tuple(crop.page for crop in crops),
    )
    if get_worker_info() is not None:
        # The thread that hands batches over would do so, and where there is no room in /dev/shm
        # print that and go on: the training would wait for the batch for ever.
        for field in batch:
            if isinstance(field, Tensor):
                field.share_memory_()  # type: ignore[no-untyped-call]  # torch has no type for it
    return batch
