"""What the processes of one training exchange. For a single process, each of these is free.

Every process calls each of these functions at the same place, or all wait for it.
"""

from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric

from detector.config.schema import TrainerConfig
from detector.data.processes import Processes
from detector.training.device import choose_device, default_precision, present_devices

T = TypeVar("T")


def start_fabric(trainer: TrainerConfig) -> Fabric:
    """The devices of this training: one, or one for each of torchrun's processes (DDP; nccl on
    GPUs, gloo on CPUs).

    Raises:
        ConfigError: `trainer.device` is not there.
    """
    ours = Processes.of_environment()
    device = choose_device(trainer.device, present_devices(), ours.world)
    plugin = _precision_of_fabric(trainer.precision, device)
    if ours.world == 1:
        return Fabric(accelerator=device, devices=1, precision=plugin)
    fabric = Fabric(
        accelerator=device,
        devices=ours.here,
        num_nodes=ours.world // ours.here,
        strategy="ddp",
        precision=plugin,
    )
    fabric.launch()
    return fabric


def _precision_of_fabric(precision: str, device: str) -> Any:
    """What Fabric calls it, in a type that it does not export."""
    if precision == "auto":
        precision = default_precision(device)
    return "bf16-mixed" if precision == "bf16" else "32-true"


def any_of(fabric: Fabric, flag: bool) -> bool:
    """Whether `flag` is true in any process."""
    if fabric.world_size == 1:
        return flag
    flags = torch.tensor(int(flag), device=fabric.device)
    return bool(fabric.all_reduce(flags, reduce_op="max"))


def everyones(fabric: Fabric, item: T) -> list[T]:
    """Each process's `item`, by rank."""
    if fabric.world_size == 1:
        return [item]
    items: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(items, item)
    return items
