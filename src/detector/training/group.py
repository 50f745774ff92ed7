"""What the processes of one training say to each other. Of a single one, each of these is free.

Every process calls each of these functions at the same place, or all wait for it.
"""

from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric

from detector.data.processes import Processes

T = TypeVar("T")


def start_fabric(precision: Any) -> Fabric:
    """The devices of this training: one, or one for each of torchrun's processes (DDP; nccl on
    GPUs, gloo on CPUs)."""
    ours = Processes.of_environment()
    if ours.world == 1:
        return Fabric(devices=1, precision=precision)
    fabric = Fabric(
        devices=ours.here, num_nodes=ours.world // ours.here, strategy="ddp", precision=precision
    )
    fabric.launch()
    return fabric


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
