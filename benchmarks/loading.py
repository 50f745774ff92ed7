"""Training crops of preset `receipts_cpu`: decoded, resized, warped, relit, their targets drawn.

The pages are receipts that detsweep draws, so there are files to decode. Its first epoch decodes
and resizes each page, later ones find it in memory. Beside it docTR (PyPI python-doctr) does the
same work in its way: its reader, which decodes every time, and its own transforms and
`build_target`, with as many changes of each kind as the preset asks for. Both use one core. The
last lines set the time of a batch beside that of the training step which it is loaded for.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from lightning_fabric import Fabric
from timm.utils.model_ema import ModelEmaV3

from benchmarks.harness import (
    Contender,
    Timing,
    compare,
    console,
    find_peer,
    take_turns,
    use_threads,
    version,
)
from detector.config.loading import load_config
from detector.config.schema import Config
from detector.data.batches import Batch, CropDataset, Draw, training_batches
from detector.data.data_set import DataSet
from detector.data.page import Page
from detector.data.synthetic.drawing import draw_receipts
from detector.model.dbnet import DBNet
from detector.training.step import Stepper

SEED = 20241124
PAGES = 24
STEPS = 7
PRESET = "receipts_cpu"


def main() -> None:
    """Print the table, the images per second and the share of a training step."""
    use_threads(1)
    config = load_config([f"preset={PRESET}"])
    with TemporaryDirectory() as folder:
        root = Path(folder) / "receipts"
        draw_receipts(root, train=PAGES, held_out=0, seed=SEED)
        pages = DataSet.read(root).pages()
        kept = CropDataset(pages, config)
        ours = [
            Contender("detsweep, first epoch", lambda i: CropDataset(pages, config)[Draw(1, i, i)]),
            Contender("detsweep, later epochs", lambda i: kept[Draw(2, i, i)]),
        ]
        size = config.data.crop_size
        timings = compare(
            f"Training crops of {PRESET}, {size} x {size}",
            range(len(pages)),
            ours,
            doctr_loaders(pages, config),
            unit="crop",
        )
        batch = next(iter(training_batches(pages, config)[0]))
    for name, timing in timings.items():
        console.print(f"{name}: {1000 / timing.median:.0f} crops a second on one core")
    step = training_step(batch, config)
    loading = len(batch.pages) * timings[ours[-1].name].median
    console.print(
        f"a step of {len(batch.pages)} crops: {step.median:.0f} ms on one core, and {loading:.0f} "
        f"ms to load them: {loading / (loading + step.median):.1%} of both"
    )


def training_step(batch: Batch, config: Config) -> Timing:
    """What the training loop does with a batch: forward, backward, update, moving average."""
    network = DBNet(config.models).to(memory_format=torch.channels_last)
    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer = fabric.setup(network, torch.optim.AdamW(network.parameters()))
    ema = ModelEmaV3(network, decay=config.trainer.ema_decay, use_warmup=True)
    stepper = Stepper(fabric, model, optimizer, network, ema, config)
    step = Contender("step", lambda _: stepper.step(batch, config.models.optimizer.lr))
    return take_turns([None], [step], STEPS)["step"]


def doctr_loaders(pages: Sequence[Page], config: Config) -> list[Contender]:
    """docTR's way from a file to a crop and its targets, or nothing if it is not installed."""
    if not find_peer("doctr", "python-doctr"):
        return []
    utils, transforms, image, differentiable = (
        importlib.import_module(f"doctr.{module}")
        for module in (
            "utils",
            "transforms",
            "io.image",
            "models.detection.differentiable_binarization.base",
        )
    )
    data, augment = config.data, config.data.augment
    size = (data.crop_size, data.crop_size)
    change = transforms.SampleCompose(
        [
            transforms.RandomRotate(augment.rotate_degrees, expand=False),
            transforms.RandomCrop(scale=(0.1, 0.4), ratio=(0.9, 1.1)),
            transforms.Resize(size, preserve_aspect_ratio=True, symmetric_pad=True),
            transforms.RandomApply(transforms.RandomShadow(), augment.shadow),
            transforms.RandomApply(transforms.GaussianBlur(sigma=(0.4, 1.2)), augment.blur),
            transforms.RandomApply(transforms.GaussianNoise(), augment.noise),
        ]
    )
    network = differentiable._DBNet()  # docTR offers `build_target` on its networks only.

    def load(i: int) -> object:
        page = pages[i]
        picture = image.read_img_as_tensor(page.image)
        height, width = picture.shape[-2:]
        quads = np.array([box.points for box in page.boxes]) / (width, height)
        sample = change(utils.Sample(image=picture, target=quads.astype(np.float32)))
        quads = np.clip(sample.target, 0, 1).astype(np.float32)
        return sample.image, network.build_target([{"words": quads}], (1, *size))

    return [Contender(version("python-doctr"), load)]


if __name__ == "__main__":
    main()
