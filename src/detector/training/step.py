"""One optimizer step, in micro-batches that fit into memory."""

import torch
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from detector.config import Config
from detector.console import say
from detector.data.dataset import Batch
from detector.errors import TrainingError
from detector.model.loss import TargetMaps, detection_loss


class Stepper:
    """Takes optimizer steps over whole batches.

    A batch holds `batch_size × accumulate_grad_batches` crops and is worked off in micro-batches of
    `batch_size`, whose gradients add up. When one does not fit into memory, the micro-batch is
    halved for good and the step begins again, so the effective batch stays what was asked for.
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
        self.updates = 0
        self._mean = torch.tensor(config.data.mean, device=fabric.device).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(config.data.std, device=fabric.device).view(1, 3, 1, 1) * 255

    def step(self, batch: Batch, rate: float) -> float:
        """Take one step at learning rate `rate`; returns the batch's mean loss.

        Raises:
            TrainingError: the loss is not finite, or a single crop does not fit into memory.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        while True:
            try:
                loss = self._accumulate(batch)
                break
            except (torch.cuda.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
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
        for first in range(0, size, self.micro_batch):
            part = slice(first, first + self.micro_batch)
            share = len(batch.pages[part]) / size
            loss = self._loss(batch, part)
            if not torch.isfinite(loss):
                pages = ", ".join(sorted(set(batch.pages[part])))
                raise TrainingError(
                    f"the loss is {loss.item()}",
                    where=f"pages {pages}",
                    remedy="lower models.optimizer.lr, or look at these pages with "
                    "`detsweep data check`",
                )
            self._fabric.backward(loss * share)
            total += loss.item() * share
        return total

    def _loss(self, batch: Batch, part: slice) -> Tensor:
        device = self._fabric.device
        pictures = (batch.pictures[part].to(device).float() - self._mean) / self._std
        if self._config.trainer.channels_last:
            pictures = pictures.contiguous(memory_format=torch.channels_last)
        targets = TargetMaps(
            *(
                maps[part].to(device).float()
                for maps in (
                    batch.shrink_map,
                    batch.shrink_mask,
                    batch.thresh_map,
                    batch.thresh_mask,
                )
            )
        )
        models = self._config.models
        return detection_loss(self._model(pictures), targets, models.loss, models.head.k)

    def _halve_micro_batch(self) -> None:
        if self.micro_batch == 1:
            raise TrainingError(
                "a single crop does not fit into memory",
                where=f"data.crop_size={self._config.data.crop_size}",
                remedy="lower data.crop_size, or choose a smaller models.encoder.model_name",
            )
        self.micro_batch //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        say(f"out of memory: micro-batch halved to {self.micro_batch}, effective batch unchanged")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has an exception of its own; the CPU's allocator only a message."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error)
