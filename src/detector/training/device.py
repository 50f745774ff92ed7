"""Which device trains: an NVIDIA GPU, that of a Mac, or the processor."""

import torch
from lightning_fabric.accelerators.mps import MPSAccelerator

from detector.errors import ConfigError
from detector.wording import counted

CUDA, MPS, CPU = "cuda", "mps", "cpu"


def present_devices() -> list[str]:
    """What this machine has, the fastest first. torch and Fabric say so."""
    has_cuda, has_mps = torch.cuda.is_available(), MPSAccelerator.is_available()
    return [*([CUDA] if has_cuda else []), *([MPS] if has_mps else []), CPU]


def choose_device(asked: str, present: list[str], processes: int = 1) -> str:
    """What to train on.

    Args:
        asked: `trainer.device`.
        present: what there is, the fastest first.
        processes: how many train together.

    Raises:
        ConfigError: it is not there, or cannot be shared by so many.

    >>> choose_device("auto", ["mps", "cpu"]), choose_device("auto", ["mps", "cpu"], processes=2)
    ('mps', 'cpu')
    """
    able = [device for device in present if device != MPS or processes == 1]
    if asked == "auto":
        return able[0]
    if asked not in able:
        why = "trains in one process only" if asked in present else "is not there"
        raise ConfigError(
            f"{asked} {why}", where="trainer.device", remedy=f"give auto or {' or '.join(able)}"
        )
    return asked


def default_precision(device: str) -> str:
    """What `trainer.precision=auto` means on a device: bf16 on an NVIDIA GPU that has it. On others
    it is no faster, or was not measured."""
    return "bf16" if device == CUDA and torch.cuda.is_bf16_supported() else "32"


def device_name(device: str) -> str:
    """As a person names it."""
    if device == CUDA:
        return torch.cuda.get_device_name()
    if device == MPS:
        return "the Mac's GPU"
    threads = torch.get_num_threads()
    return counted(threads, "CPU core")
