"""From torch to ONNX: one graph of any batch, height and width (multiples of 32), checked against
its source before anybody relies on it."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detector.config.schema import SIZE_STEP
from detector.errors import ExportError
from detector.export.engines import open_engine
from detector.export.model import INPUT, OUTPUT

OPSET = 20
PARITY_LIMIT = 1e-3
"""Largest difference of a probability that counts as rounding. Of networks that were drawn at
random before their training it is some 1e-6; a published one is so sure of itself (logits of a
hundred) that on some pages rounding moves a pixel at the edge of text by 3e-4. A wrong operator
moves many by much more."""


def export_onnx(network: nn.Module, path: Path) -> None:
    """Write `network`, from (B, 3, H, W) float32 to `path`; its output is float32 in [0, 1], either
    one map, (B, H, W), or of several networks, (B, K, H, W).

    By tracing: the network has no branch that depends on its input, and torch's newer exporter
    takes forty times as long for the same graph (it reasons about every shape as a formula in
    height / 32 and width / 32). `measure_parity` checks whether the graph is
    right.
    """
    sample = torch.zeros(2, 3, 64, 96)
    with torch.inference_mode():
        axes = network.eval()(sample).ndim
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (sample,),
            path,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={
                INPUT: {0: "batch", 2: "height", 3: "width"},
                OUTPUT: {0: "batch", axes - 2: "height", axes - 1: "width"},
            },
            opset_version=OPSET,
        )


def measure_parity(network: nn.Module, path: Path, picture_13hw: NDArray[np.float32]) -> float:
    """The largest difference between the ONNX file's map and the network's.

    Measured on a real, normalised page, on parts of it of four other sizes, and on batches of two
    and three: shapes that the exporter has not seen.

    Raises:
        ExportError: they differ by more than rounding.
    """
    run = open_engine(path)
    worst = 0.0
    for images in _samples(picture_13hw):
        with torch.inference_mode():
            expected = network(torch.from_numpy(images)).numpy()
        worst = max(worst, float(np.abs(run(images) - expected).max()))
    if not worst <= PARITY_LIMIT:
        raise ExportError(
            f"the exported map differs from the network's by {worst:.1e}",
            where=str(path),
            remedy=f"at most {PARITY_LIMIT:.0e} is rounding: please report this with the "
            "configuration of the training",
        )
    return worst


class Ensemble(nn.Module):
    """Several networks as one, or one alone."""

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def maps(self, image_B3HW: Tensor) -> list[Tensor]:
        """Each network's (B, H, W) probability map."""
        return [network.probability_map(image_B3HW) for network in self.networks]  # type: ignore[operator]  # ModuleList forgets the type

    @property
    def drawn(self) -> int:
        """How many maps its output has of an image."""
        return 1


class MeanOfMaps(Ensemble):
    """The mean of the networks' maps: (B, H, W)."""

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """The mean map of normalised images."""
        maps = self.maps(image_B3HW)
        # The mean of one would cost a pass over the map.
        return torch.stack(maps).mean(dim=0) if len(maps) > 1 else maps[0]


class AllMaps(Ensemble):
    """The maps of all K networks, side by side: (B, K, H, W)."""

    @property
    def drawn(self) -> int:
        """One map of each network."""
        return len(self.networks)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """The maps of normalised images."""
        return torch.stack(self.maps(image_B3HW), dim=1)


def _samples(picture_13hw: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Five sizes, and of the smallest two batches more."""
    _, _, height, width = picture_13hw.shape

    def part(down: int, along: int) -> NDArray[np.float32]:
        rows, columns = (
            max(SIZE_STEP, side // n // SIZE_STEP * SIZE_STEP)
            for side, n in ((height, down), (width, along))
        )
        return np.ascontiguousarray(picture_13hw[:, :, :rows, :columns])

    small = part(4, 4)
    mirrored = small[..., ::-1]
    return [
        picture_13hw,
        part(2, 1),
        part(1, 2),
        part(2, 2),
        small,
        np.concatenate([small, mirrored]),
        np.concatenate([small, mirrored, small]),
    ]
