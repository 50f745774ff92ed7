"""What a training has to find where it runs, looked at before it starts: the network's name, the
weights that it starts from, the device. A sweep's check and a run's first look ask here too."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from detector.config.loading import preset_networks
from detector.config.schema import Config
from detector.errors import ConfigError, DetsweepError
from detector.model.published import CHECKPOINT, require_start

_WEIGHTS = (CHECKPOINT, ".onnx")
_WITHOUT_A_GPU = ("auto", "cpu")


@dataclass(frozen=True)
class Lack:
    """What a configuration asks for and this machine does not have.

    Attributes:
        error: what is wrong, with its remedy.
        may_be_elsewhere: whether another machine may have it; otherwise none has.
    """

    error: DetsweepError
    may_be_elsewhere: bool


def lack_of(config: Config, key: str) -> Lack | None:
    """What is missing for the value of one of `NEEDS`; None where nothing is."""
    return NEEDS[key](config)


def require_needs(config: Config, swept: Collection[str] = ()) -> None:
    """Refuse a configuration that cannot be trained on this machine.

    Args:
        swept: keys that each trial gives another value.

    Raises:
        ConfigError: it names a network, weights or a device that is not there.
        MissingExtraError: a package is not installed that has the published detector.
    """
    for key in NEEDS.keys() - set(swept):
        lack = lack_of(config, key)
        if lack is not None:
            raise lack.error


def _network(config: Config) -> Lack | None:
    name = config.models.encoder.model_name
    # timm takes seconds to import, and knows what presets name.
    if name in preset_networks() or find_spec("timm") is None:
        return None
    from detector.model.encoder import require_known  # noqa: PLC0415

    try:
        require_known(name)
    except ConfigError as error:
        return Lack(error, may_be_elsewhere=False)
    return None


def _weights(config: Config) -> Lack | None:
    init = config.models.init
    if init is None:
        return None
    try:
        require_start(config, init)
    except ConfigError as error:
        is_file = Path(init).suffix in _WEIGHTS
        return Lack(error, may_be_elsewhere=is_file and not Path(init).exists())
    except DetsweepError as error:  # the package that has them is not installed
        return Lack(error, may_be_elsewhere=True)
    return None


def _device(config: Config) -> Lack | None:
    asked = config.trainer.device
    # So does torch.
    if asked in _WITHOUT_A_GPU or find_spec("torch") is None:
        return None
    from detector.training.device import choose_device, present_devices  # noqa: PLC0415

    try:
        choose_device(asked, present_devices())
    except ConfigError as error:
        return Lack(error, may_be_elsewhere=True)
    return None


NEEDS: dict[str, Callable[[Config], Lack | None]] = {
    "models.encoder.model_name": _network,
    "models.init": _weights,
    "trainer.device": _device,
}
"""What is looked at, by its key."""
