"""One optimizer step, in micro-batches that fit into memory."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from detector.config.schema import Config
from detector.console import say
from detector.data.batches import Batch
from detector.errors import TrainingError
from detector.model.dbnet import Maps
from detector.model.loss import TargetMaps, detection_loss
from detector.training.group import any_of

SCALE = "scale"
"""Of an optimizer's group: what the learning rate is multiplied by."""


class Stepper:
    """Takes optimizer steps over whole batches.

    A batch holds `batch_size × accumulate_grad_batches` crops and is processed in micro-batches of
    `batch_size`, whose gradients add up. When one does not fit into memory, the micro-batch is
    halved for good and the step begins again, so the effective batch stays what was asked for.

    Several processes share each micro-batch, and the result is that of one: the loss is that of the
    whole micro-batch, whose maps they exchange. One that ran out of memory in the middle of it
    would leave the others waiting, so each tries its share alone before the first step, and all
    halve it when one has to.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        network: nn.Module,
        ema: ModelEmaV3 | None,
        config: Config,
    ):
        self._fabric = fabric
        self._model = model
        self._network = network
        self._optimizer = optimizer
        self._ema = ema
        self._config = config
        self.micro_batch = config.data.batch_size
        """Crops in all processes together."""
        self.updates = 0
        self._fits = fabric.world_size == 1
        self._mean = torch.tensor(config.data.mean, device=fabric.device).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(config.data.std, device=fabric.device).view(1, 3, 1, 1) * 255

    def step(self, batch: Batch, rate: float) -> float:
        """Take one step at learning rate `rate`; returns the batch's mean loss.

        Raises:
            TrainingError: the loss is not finite, or a single crop does not fit into memory.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group.get(SCALE, 1)
        if not self._fits:
            self._agree_on_micro_batch(batch)
            self._fits = True
        while True:
            try:
                loss = self._accumulate(batch)
                break
            except (torch.cuda.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error) or self._fabric.world_size > 1:
                    raise
            self._halve_micro_batch()
        limit = self._config.trainer.gradient_clip_val
        if limit:
            self._fabric.clip_gradients(self._model, self._optimizer, max_norm=limit)
        self._optimizer.step()
        self.updates += 1
        if self._ema is not None:
            self._ema.update(self._network, step=self.updates)
        return loss

    def _accumulate(self, batch: Batch) -> float:
        self._optimizer.zero_grad(set_to_none=True)
        total = 0.0
        size = len(batch.pages)
        for first in range(0, size, self._own_micro_batch):
            part = slice(first, first + self._own_micro_batch)
            share = len(batch.pages[part]) / size
            # Processes add their gradients up once, in the last micro-batch.
            # (Fabric's type of a model that it has set up has no public name.)
            with self._fabric.no_backward_sync(self._model, enabled=part.stop < size):  # type: ignore[arg-type]
                loss = self._loss(batch, part)
                _require_number(loss, batch.pages[part])
                self._fabric.backward(loss * share)
            total += loss.item() * share
        return total

    @property
    def _own_micro_batch(self) -> int:
        """Crops in this process."""
        return max(1, self.micro_batch // self._fabric.world_size)

    def _loss(self, batch: Batch, part: slice) -> Tensor:
        """The loss of the whole micro-batch; `part` is this process's share of it."""
        maps, targets = self._model(self._pictures(batch, part)), self._targets(batch, part)
        if self._fabric.world_size > 1:
            # The gradients that processes exchange are averaged, and gathering adds them up.
            maps = Maps(*(shared.flatten(0, 1) for shared in self._gather(maps)))
            targets = TargetMaps(
                *(shared.flatten(0, 1) for shared in self._gather(vars(targets).values()))
            )
        models = self._config.models
        return detection_loss(maps, targets, models.loss, models.head.k)

    def _gather(self, maps: Iterable[Tensor]) -> Any:
        return self._fabric.all_gather(tuple(maps), sync_grads=True)

    def _pictures(self, batch: Batch, part: slice) -> Tensor:
        pictures = (batch.pictures[part].to(self._fabric.device).float() - self._mean) / self._std
        if self._config.trainer.channels_last:
            pictures = pictures.contiguous(memory_format=torch.channels_last)
        return pictures

    def _targets(self, batch: Batch, part: slice) -> TargetMaps:
        return TargetMaps(
            *(
                maps[part].to(self._fabric.device).float()
                for maps in (
                    batch.shrink_map,
                    batch.shrink_mask,
                    batch.thresh_map,
                    batch.thresh_mask,
                )
            )
        )

    def _agree_on_micro_batch(self, batch: Batch) -> None:
        """Halve the micro-batch until each process has room for its share of it."""
        while any_of(self._fabric, self._lacks_memory(batch)):
            self._halve_micro_batch()

    def _lacks_memory(self, batch: Batch) -> bool:
        """Whether a micro-batch does not fit, tried without any exchange: in evaluation mode
        batch norm takes as much memory and exchanges nothing."""
        self._network.eval()
        part = slice(0, self._own_micro_batch)
        try:
            # What AdamW will keep of each weight from its first step on.
            moments = [torch.empty_like(w) for w in self._network.parameters() for _ in range(2)]
            models = self._config.models
            with self._fabric.autocast():
                maps = self._network(self._pictures(batch, part))
            targets = self._targets(batch, part)
            loss = detection_loss(maps, targets, models.loss, models.head.k)
            torch.autograd.backward(loss)
            del moments
        except (torch.cuda.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            return True
        finally:
            self._network.train()
        return False

    def _halve_micro_batch(self) -> None:
        if self._own_micro_batch == 1:
            raise TrainingError(
                "a single crop does not fit into memory",
                where=f"data.crop_size={self._config.data.crop_size}",
                remedy="lower data.crop_size, or choose a smaller models.encoder.model_name",
            )
        self.micro_batch = self._own_micro_batch // 2 * self._fabric.world_size
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self._fabric.is_global_zero:
            say(
                f"out of memory: micro-batch halved to {self.micro_batch}, effective batch "
                "unchanged"
            )


def _require_number(loss: Tensor, pages: Sequence[str]) -> None:
    if not torch.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss.item()}",
            where=f"pages {', '.join(sorted(set(pages)))}",
            remedy="lower models.optimizer.lr, or look at these pages with `detsweep data check`",
        )


_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "MPS backend out of memory")
"""Of the processor's allocator on Linux and macOS, and on Windows; of a Mac's GPU."""


def _is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has an exception of its own; the others only a message."""
    words = str(error)
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(m in words for m in _OUT_OF_MEMORY)
