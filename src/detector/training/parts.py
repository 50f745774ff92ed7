"""What a training steps with: network, optimizer, averaged weights and the crops it is fed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric, seed_everything
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from torch.utils.data import DataLoader

from detector.config.schema import Config
from detector.data.batches import Batch, EpochBatches, training_batches
from detector.data.page import Page
from detector.data.processes import Processes
from detector.environment import threads
from detector.model.checkpoint import Origin
from detector.model.dbnet import DBNet
from detector.model.starting import start_from
from detector.training.device import CUDA
from detector.training.shared_norm import share_batch_norm
from detector.training.step import SCALE, Stepper


@dataclass(frozen=True)
class Parts:
    """What a training steps with.

    Attributes:
        network: the bare network; its state is what is saved.
        model: the same as Fabric runs it, on its device and shared by the processes.
        optimizer: of its weights.
        ema: the exponential moving average of its weights; None where none is asked for.
        stepper: takes optimizer steps with these three.
        loader: the batches of one epoch, by this process's share of them.
        batches: which crops they are; its `epoch` and `start` say where the loader begins.
        origin: of the weights that the network started from; None of those drawn at random.
    """

    network: DBNet
    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: ModelEmaV3 | None
    stepper: Stepper
    loader: DataLoader[Batch]
    batches: EpochBatches
    origin: Origin | None

    @property
    def weights_to_keep(self) -> DBNet:
        """The network that is validated and kept: the averaged one, if there is one."""
        return self.ema.module if self.ema is not None else self.network

    def state_dict(self) -> dict[str, Any]:
        """Everything that training changes, as tensors and plain values."""
        return {
            "model": self.network.state_dict(),
            "ema": self.ema.module.state_dict() if self.ema else None,
            "updates": self.stepper.updates,
            "optimizer": self.optimizer.state_dict(),
            "micro_batch": self.stepper.micro_batch,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; other keys are left alone."""
        self.network.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.stepper.updates = state["updates"]
        self.stepper.micro_batch = state["micro_batch"]


def build_parts(
    config: Config, pages: Sequence[Page], fabric: Fabric, taught: Sequence[Page] = ()
) -> Parts:
    """Seed everything and build what trains on `pages`, and on as many of those that are `taught`
    in an epoch.

    Raises:
        ConfigError: the batch cannot be shared by so many processes, or the network cannot start
            from `models.init`.
    """
    _limit_threads()
    seed_everything(config.seed, verbose=False)
    loader, batches = training_batches(
        pages,
        config,
        Processes.of_environment(),
        taught=taught,
        pinned=fabric.device.type == CUDA,
    )
    # Weights that others are put in place of need not be downloaded.
    network = DBNet(config.models, pretrained=False if config.models.init else None)
    if fabric.world_size > 1:
        share_batch_norm(network, fabric.device)
    if config.trainer.channels_last:
        network = network.to(memory_format=torch.channels_last)
    origin = start_from(config, network)
    # (Fabric's types of what it has set up have no public names.)
    model, optimizer = fabric.setup(network, _optimizer(network, config))
    decay = config.trainer.ema_decay
    ema = ModelEmaV3(network, decay=decay, use_warmup=True) if decay else None
    stepper = Stepper(fabric, model, optimizer, network, ema, config)
    return Parts(network, model, optimizer, ema, stepper, loader, batches, origin)


_SMALLEST_SCALE = 1e-3
"""Of a tensor of zeros, so that it can change (Shazeer and Stern 2018, arXiv 1804.04235, section
8)."""


def _optimizer(network: DBNet, config: Config) -> torch.optim.AdamW:
    settings = config.models.optimizer
    groups: list[dict[str, Any]] = [{"params": list(network.parameters())}]
    if settings.scale_parameter:
        groups = [
            {"params": [tensor], SCALE: max(_SMALLEST_SCALE, _rms(tensor))}
            for tensor in network.parameters()
        ]
    return torch.optim.AdamW(
        groups,
        lr=settings.lr,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
    )


def _rms(tensor: torch.Tensor) -> float:
    """Root mean square."""
    return float(tensor.detach().square().mean().sqrt())


def _limit_threads() -> None:
    """Respect OMP_NUM_THREADS: several trainings may share this machine."""
    if at_most := threads():
        torch.set_num_threads(at_most)
