"""Candidates as ONNX files: each in float32, and what deserves it in fewer bits too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.config.schema import DataConfig
from detector.detecting.inference import ProbabilityMap, normalise
from detector.ensemble.names import with_precision
from detector.export.bits import Precision
from detector.export.engines import open_engine
from detector.export.onnx import Ensemble, export_onnx, measure_parity
from detector.export.precision import write_float16, write_int8

Picture = NDArray[np.float32]
"""(1, 3, H, W): a page as the network takes it."""


@dataclass(frozen=True)
class CandidateFile:
    """A candidate in its file.

    Attributes:
        made_of: "fold 0", "mean of maps".
        networks: how many it joins.
        maps: how many it draws of a page: one, or one of each network.
        parity: largest difference of its probability map to that of torch, or where it has fewer
            bits, to that of the float32 file.
    """

    path: Path
    made_of: str
    networks: int
    maps: int
    precision: Precision
    parity: float

    @property
    def name(self) -> str:
        """ "fold 0", "mean of maps, int8"."""
        return with_precision(self.made_of, self.precision)

    @property
    def megabytes(self) -> float:
        """Of the file, in units of 10^6 bytes."""
        return self.path.stat().st_size / 1e6

    def probability_map(self, data: DataConfig) -> ProbabilityMap:
        """What the file makes of a padded page; `data` says how to normalise it."""
        run = open_engine(self.path)
        return lambda picture: run(normalise(picture, data.mean, data.std))[0]


def export_candidate(
    made_of: str, network: Ensemble, sample: Picture, folder: Path
) -> CandidateFile:
    """Write a network as a float32 file.

    Args:
        sample: a page that the file's map is compared on with the network's.

    Raises:
        ExportError: they differ by more than rounding.
    """
    path = folder / f"{made_of}.onnx"
    export_onnx(network, path)
    parity = measure_parity(network, path, sample)
    return CandidateFile(
        path, made_of, len(network.networks), network.drawn, Precision.FLOAT32, parity
    )


def reduce_precision(
    full: CandidateFile, sample: Picture, pictures: Sequence[Picture]
) -> Iterator[CandidateFile]:
    """Write a float32 candidate again in float16 and in int8.

    Args:
        sample: a page that the files' maps are compared on.
        pictures: training pages, which int8 takes the ranges of activations from.
    """
    expected = open_engine(full.path)(sample)
    for precision in (Precision.FLOAT16, Precision.INT8):
        path = full.path.with_suffix(f".{precision}.onnx")
        if precision is Precision.FLOAT16:
            write_float16(full.path, path)
        else:
            write_int8(full.path, path, pictures)
        parity = float(np.abs(open_engine(path)(sample) - expected).max())
        yield replace(full, path=path, precision=precision, parity=parity)
