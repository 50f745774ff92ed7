"""Training steps of the reference on a GPU: images a second and memory, by batch and by means.

Each row takes whole optimizer steps of preset `hrnet_w44_1280` (or the preset named as the
argument) on random crops: forward, loss, backward, clipping, AdamW, moving average. The first row
is the plain step, float32 in contiguous layout; each later one adds one means. Needs a CUDA GPU.
"""

import sys
import time
from dataclasses import dataclass
from statistics import median

import torch
from lightning_fabric import Fabric
from rich.table import Table
from timm.utils.model_ema import ModelEmaV3

from benchmarks.harness import console, version
from detector.config.loading import load_config
from detector.data.batches import Batch
from detector.model.dbnet import DBNet
from detector.training.step import Stepper

WARM_UP, STEPS = 3, 10
BATCHES = (2, 4, 8, 16)


@dataclass(frozen=True)
class Means:
    """What a row uses."""

    precision: str = "32"
    channels_last: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        words = [self.precision]
        words += ["channels_last"] * self.channels_last + ["compile"] * self.compiled
        return ", ".join(words)


PLAIN = Means()
ROWS = (
    *((batch, PLAIN) for batch in BATCHES[:1]),
    *((batch, Means("bf16")) for batch in BATCHES[:1]),
    *((batch, Means("bf16", channels_last=True)) for batch in BATCHES),
    *((batch, Means("bf16", channels_last=True, compiled=True)) for batch in BATCHES),
)


def main(preset: str = "hrnet_w44_1280") -> None:
    """Print the table; a batch that does not fit into memory ends no row but its own."""
    if not torch.cuda.is_available():
        console.print("skipped: torch sees no CUDA GPU")
        return
    table = Table("batch", "means", "images/s", "times plain", "GiB", title=f"Steps of {preset}")
    plain: float | None = None
    for batch, means in ROWS:
        rate = images_per_second(preset, batch, means)
        if rate is None:
            table.add_row(str(batch), str(means), "does not fit")
            continue
        plain = plain or rate
        gib = torch.cuda.max_memory_allocated() / 2**30
        table.add_row(str(batch), str(means), f"{rate:.2f}", f"{rate / plain:.2f}", f"{gib:.1f}")
    console.print(table)
    console.print(f"{torch.cuda.get_device_name()}, {version('torch')}, {version('timm')}")


def images_per_second(preset: str, size: int, means: Means) -> float | None:
    """The median step's rate, after steps to warm up; None if the batch does not fit at once."""
    layout = str(means.channels_last).lower()
    config = load_config(
        [
            f"preset={preset}",
            "models.encoder.pretrained=false",
            f"data.batch_size={size}",
            f"trainer.channels_last={layout}",
            f"trainer.precision={means.precision}",
        ]
    )
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    network = DBNet(config.models)
    if means.channels_last:
        network = network.to(memory_format=torch.channels_last)
    precision = "bf16-mixed" if means.precision == "bf16" else "32-true"
    fabric = Fabric(accelerator="cuda", devices=1, precision=precision)  # type: ignore[arg-type]  # a str, where Fabric lists literals
    if means.compiled:
        network.compile()
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    model, optimizer = fabric.setup(network, optimizer)
    ema = ModelEmaV3(network, decay=config.trainer.ema_decay, use_warmup=True)
    stepper = Stepper(fabric, model, optimizer, network, ema, config)
    batch = _random_batch(size, config.data.crop_size)
    seconds = []
    for _ in range(WARM_UP + STEPS):
        started = time.perf_counter()
        stepper.step(batch, config.models.optimizer.lr)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return size / median(seconds[WARM_UP:]) if stepper.micro_batch == size else None


def _random_batch(size: int, side: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    maps = (torch.rand(4, size, side, side, generator=generator) < 0.2).to(torch.uint8)
    pictures = torch.randint(0, 256, (size, 3, side, side), generator=generator, dtype=torch.uint8)
    shrink_map, shrink_mask, thresh_mask = maps[0], 1 - maps[1], maps[2]
    pages = tuple(f"page {i}" for i in range(size))
    return Batch(pictures, shrink_map, shrink_mask, maps[3].float(), thresh_mask, pages)


if __name__ == "__main__":
    main(*sys.argv[1:2])
