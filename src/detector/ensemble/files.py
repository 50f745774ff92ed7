"""Candidates as ONNX files: each in float32, and what deserves it in fewer bits too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.config.schema import DataConfig, PostprocessConfig
from detector.detecting.inference import Image, ProbabilityMap, network_input, normalise
from detector.ensemble.names import with_precision
from detector.export.bits import Precision
from detector.export.engines import open_engine
from detector.export.onnx import Ensemble, export_onnx, measure_parity
from detector.export.precision import write_float16, write_int8
from detector.model.checkpoint import ModelCheckpoint

Picture = NDArray[np.float32]
"""(1, 3, H, W): a page as the network takes it."""


@dataclass(frozen=True)
class CandidateFile:
    """A candidate in its file.

    Attributes:
        made_of: "fold 0", "mean of maps".
        model: what its network was trained as, or the first of its networks.
        postprocess: how its maps are read.
        networks: how many it joins.
        maps: how many it draws of a page: one, or one of each network.
        parity: largest difference of its probability map to that of torch, or where it has fewer
            bits, to that of the float32 file.
    """

    path: Path
    made_of: str
    model: ModelCheckpoint
    postprocess: PostprocessConfig
    networks: int
    maps: int
    precision: Precision
    parity: float

    @property
    def name(self) -> str:
        """ "fold 0", "mean of maps, int8"."""
        return with_precision(self.made_of, self.precision)

    @property
    def data(self) -> DataConfig:
        """How its networks take a page."""
        return self.model.config.data

    @property
    def kind(self) -> tuple[str, int, Precision]:
        """Files of one kind are equally fast: of the same networks, as many, in as many bits."""
        models = self.model.config.models
        network = models.encoder.model_name, models.decoder.model_dump_json()
        return " ".join(network), self.networks, self.precision

    @property
    def megabytes(self) -> float:
        """Of the file, in units of 10^6 bytes."""
        return self.path.stat().st_size / 1e6

    def probability_map(self) -> ProbabilityMap:
        """What the file makes of a padded page."""
        run = open_engine(self.path)
        return lambda picture: run(normalise(picture, self.data.mean, self.data.std))[0]


def is_untrained(file: CandidateFile) -> bool:
    """Whether it is a detector of others, as they published it."""
    return file.model.epoch == 0


def export_candidate(
    made_of: str, network: Ensemble, model: ModelCheckpoint, sample: Image, folder: Path
) -> CandidateFile:
    """Write a network as a float32 file.

    Args:
        model: what the network was trained as.
        sample: a page that the file's map is compared on with the network's.

    Raises:
        ExportError: they differ by more than rounding.
    """
    path = folder / f"{made_of}.onnx"
    export_onnx(network, path)
    parity = measure_parity(network, path, network_input(sample, model.config.data))
    return CandidateFile(
        path=path,
        made_of=made_of,
        model=model,
        postprocess=model.config.models.head.postprocess,
        networks=len(network.networks),
        maps=network.drawn,
        precision=Precision.FLOAT32,
        parity=parity,
    )


def reduce_precision(
    full: CandidateFile, sample: Image, pictures: Sequence[Picture]
) -> Iterator[CandidateFile]:
    """Write a float32 candidate again in float16 and in int8.

    Args:
        sample: a page that the files' maps are compared on.
        pictures: training pages, which int8 takes the ranges of activations from.
    """
    picture = network_input(sample, full.data)
    expected = open_engine(full.path)(picture)
    for precision in (Precision.FLOAT16, Precision.INT8):
        path = full.path.with_suffix(f".{precision}.onnx")
        if precision is Precision.FLOAT16:
            write_float16(full.path, path)
        else:
            write_int8(full.path, path, pictures)
        parity = float(np.abs(open_engine(path)(picture) - expected).max())
        yield replace(full, path=path, precision=precision, parity=parity)
