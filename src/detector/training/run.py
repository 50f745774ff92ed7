"""One training run, top to bottom: build, resume, train and validate each epoch, save, end."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning_fabric import seed_everything
from timm.utils import ModelEmaV3
from torch.utils.data import DataLoader

from detector.choosing.pages import PAGES, KeptEpoch, PageScores
from detector.config import Config
from detector.console import say
from detector.data.dataset import Batch, EpochBatches, training_batches
from detector.data.folds import Folds
from detector.data.page import Page
from detector.data.processes import Processes
from detector.errors import DataError, TrainingError
from detector.interrupt import Interrupt, catch_sigterm
from detector.model.checkpoint import ModelCheckpoint, load_tensors, save_tensors
from detector.model.dbnet import DBNet
from detector.storage.atomic import write_atomically
from detector.tracking import UNTRACKED, Tracker
from detector.training.group import any_of, start_fabric
from detector.training.keeping import EpochChoice
from detector.training.result import METRIC, EpochMetrics, OnEpoch, TrainResult
from detector.training.schedule import learning_rate
from detector.training.shared_norm import share_batch_norm
from detector.training.step import Stepper
from detector.training.validate import Validation

LAST, BEST = "last.ckpt", "best.ckpt"


def train(
    config: Config,
    folds: Folds,
    fold: int | None,
    run_dir: Path,
    on_epoch: OnEpoch,
    tracker: Tracker = UNTRACKED,
) -> TrainResult:
    """Train a detector on all folds but one.

    `run_dir` receives `config.yaml`, `metrics.jsonl` (one line an epoch), `last.ckpt`, and of the
    epoch that is kept (see `EpochChoice`) `best.ckpt` and `pages.json`, its counts on each
    validation page. A run that was interrupted goes on from its `last.ckpt` as if nothing had
    happened: the same crops in the same order with the same rates. Epochs that it had finished are
    reported to `on_epoch` again, so that the caller misses none.

    Several processes that torchrun has started share the training, and its result is that of one,
    within rounding. Each of them calls this. The first alone touches `run_dir` and tells of epochs;
    SIGTERM to any of them interrupts all.

    Args:
        config: what to train and how.
        folds: the data set.
        fold: the fold left out and validated on; None trains on every page that is not held out,
            and validates on those that are.
        run_dir: a local folder of this run alone.
        on_epoch: told of each epoch; it may end the run.
        tracker: told of each epoch, too; whoever opened it ends it.

    Raises:
        ConfigError: the batch cannot be shared by so many processes.
        DataError: nothing to train on, or no text in it.
        TrainingError: the loss stopped being a number, or `last.ckpt` is of another configuration.
    """
    with catch_sigterm() as interrupt:
        return TrainingRun(config, folds, fold, run_dir, tracker).train(on_epoch, interrupt)


class TrainingRun:
    """One training with all its parts: `train` runs it, and `detector.planning` times its steps."""

    def __init__(
        self, config: Config, folds: Folds, fold: int | None, run_dir: Path, tracker: Tracker
    ):
        self.config, self.fold, self.dir, self.tracker = config, fold, run_dir, tracker
        self.fabric = fabric = start_fabric(_precision(config))
        self.data_digest = folds.manifest.digest()
        self.validation = Validation(folds.validation(fold), config, fabric)
        pages = folds.training(fold)
        _require_text(pages, "training")
        _require_text(self.validation.pages, "validation")
        if fabric.is_global_zero:
            tree = yaml.safe_dump(config.to_dict(), sort_keys=False)
            write_atomically(run_dir / "config.yaml", tree.encode())

        _limit_threads()
        seed_everything(config.seed, verbose=False)
        self.loader: DataLoader[Batch]
        self.batches: EpochBatches
        self.loader, self.batches = training_batches(pages, config, Processes.of_environment())
        self.network = DBNet(config.models)
        if fabric.world_size > 1:
            share_batch_norm(self.network)
        if config.trainer.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(self.network, config)
        self.model, self.optimizer = fabric.setup(self.network, self.optimizer)
        decay = config.trainer.ema_decay
        self.ema = ModelEmaV3(self.network, decay=decay, use_warmup=True) if decay else None
        self.stepper = Stepper(fabric, self.model, self.optimizer, self.network, self.ema, config)

        self.history: list[dict[str, float]] = []
        self.choice = EpochChoice()
        self.step_in_epoch = 0
        self.loss_sum = 0.0
        self._resume()

    def train(self, on_epoch: OnEpoch, interrupt: Interrupt) -> TrainResult:
        for row in self.history:
            metrics = _as_metrics(row)
            if self.fabric.is_global_zero:
                self.tracker.epoch(metrics.epoch, metrics.values)
            if not self._goes_on(on_epoch, metrics):
                return self._result("stopped")
        for epoch in range(len(self.history) + 1, self.config.trainer.max_epochs + 1):
            started = time.monotonic()
            if not self._train_epoch(epoch, interrupt):
                if self.fabric.is_global_zero:
                    self._save()
                    steps = self.step_in_epoch
                    say(f"epoch {epoch} interrupted after {steps} steps; resume to go on")
                return self._result("preempted")
            metrics = self._finish_epoch(epoch, started)
            if not self._goes_on(on_epoch, metrics):
                return self._result("stopped")
        return self._result("finished")

    def _goes_on(self, on_epoch: OnEpoch, metrics: EpochMetrics) -> bool:
        """What `on_epoch` says, which the first process alone asks. After the last epoch nothing is
        left to stop."""
        told = self.fabric.broadcast(not self.fabric.is_global_zero or on_epoch(metrics))
        return told or metrics.epoch == self.config.trainer.max_epochs

    def _train_epoch(self, epoch: int, interrupt: Interrupt) -> bool:
        """Take the epoch's remaining steps; False if the run was interrupted before its end."""
        if any_of(self.fabric, interrupt.requested):  # Of an epoch before, in its last step.
            return False
        self.model.train()
        torch.manual_seed(self.config.seed * 1_000_003 + epoch)
        self.batches.epoch, self.batches.start = epoch, self.step_in_epoch
        models = self.config.models
        for batch in self.loader:
            done = epoch - 1 + self.step_in_epoch / len(self.batches)
            rate = learning_rate(done, models.optimizer, models.scheduler)
            self.loss_sum += self.stepper.step(batch, rate)
            self.step_in_epoch += 1
            interrupted = any_of(self.fabric, interrupt.requested)
            if interrupted and self.step_in_epoch < len(self.batches):
                return False
        return True

    def _finish_epoch(self, epoch: int, started: float) -> EpochMetrics:
        models = self.config.models
        score = self.validation.score(self._weights_to_keep().eval())
        row = {
            "epoch": epoch,
            "train/loss": self.loss_sum / self.step_in_epoch,
            "lr": learning_rate(epoch, models.optimizer, models.scheduler),
            METRIC: score.hmean,
            "val/recall": score.recall,
            "val/precision": score.precision,
            "val/hmean_pages": score.hmean_pages,
            "seconds": time.monotonic() - started,
        }
        self.history.append(row)
        self.step_in_epoch, self.loss_sum = 0, 0.0
        candidate = KeptEpoch(epoch, PageScores.of(self.validation.pages, score))
        is_kept = self.choice.offer(candidate)
        if self.fabric.is_global_zero:
            self._save_epoch(row, candidate if is_kept else None)
        return _as_metrics(row)

    def _save_epoch(self, row: dict[str, float], kept: KeptEpoch | None) -> None:
        if kept:
            self._save_kept(row, kept)
        self._save()
        lines = "".join(json.dumps(entry) + "\n" for entry in self.history)
        write_atomically(self.dir / "metrics.jsonl", lines.encode())
        metrics = _as_metrics(row)
        pictures = self.validation.overlays if kept else None
        self.tracker.epoch(metrics.epoch, metrics.values, pictures)

    def _weights_to_keep(self) -> DBNet:
        return self.ema.module if self.ema is not None else self.network

    def _save_kept(self, row: Mapping[str, float], kept: KeptEpoch) -> None:
        ModelCheckpoint(
            config=self.config,
            weights=self._weights_to_keep().state_dict(),
            data_digest=self.data_digest,
            fold=self.fold,
            epoch=kept.epoch,
            metrics=dict(row),
        ).save(self.dir / BEST)
        write_atomically(self.dir / PAGES, kept.to_json().encode())

    def _save(self) -> None:
        save_tensors(
            self.dir / LAST,
            {
                "config_digest": self.config.digest(),
                "data_digest": self.data_digest,
                "model": self.network.state_dict(),
                "ema": self.ema.module.state_dict() if self.ema else None,
                "updates": self.stepper.updates,
                "optimizer": self.optimizer.state_dict(),
                "micro_batch": self.stepper.micro_batch,
                "history": self.history,
                "choice": self.choice.state_dict(),
                "step_in_epoch": self.step_in_epoch,
                "loss_sum": self.loss_sum,
            },
        )

    def _resume(self) -> None:
        path = self.dir / LAST
        state: dict[str, Any] | None = None
        if self.fabric.is_global_zero and path.exists():
            state = load_tensors(path)
            self._refuse_other_origin(state, path)
        state = self.fabric.broadcast(state)
        if state is None:
            return
        self.network.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.stepper.updates = state["updates"]
        self.stepper.micro_batch = state["micro_batch"]
        self.history = state["history"]
        self.choice.load_state_dict(state["choice"])
        self.step_in_epoch, self.loss_sum = state["step_in_epoch"], state["loss_sum"]
        if self.fabric.is_global_zero:
            say(self._where_it_was())

    def _where_it_was(self) -> str:
        done = len(self.history)
        if done == self.config.trainer.max_epochs:
            return f"all {done} epochs were trained before"
        steps = f" and {self.step_in_epoch} steps" if self.step_in_epoch else ""
        return f"resumed after epoch {done}{steps}"

    def _refuse_other_origin(self, state: Mapping[str, object], path: Path) -> None:
        ours = {"config_digest": self.config.digest(), "data_digest": self.data_digest}
        for name, digest in ours.items():
            if state[name] != digest:
                what = "configuration" if name == "config_digest" else "data set"
                raise TrainingError(
                    f"the checkpoint was made with another {what}",
                    where=str(path),
                    remedy="train into another folder, or delete this one to begin again",
                )

    def _result(self, status: str) -> TrainResult:
        kept = self.choice.kept
        return TrainResult(
            status=status,  # type: ignore[arg-type]
            epochs=len(self.history),
            kept_epoch=kept,
            kept_hmean=self.history[kept - 1][METRIC] if kept else 0.0,
            checkpoint=self.dir / BEST,
        )


def _require_text(pages: Sequence[Page], purpose: str) -> None:
    if not any(not box.ignore for page in pages for box in page.boxes):
        raise DataError(
            f"no {purpose} page has text that is not marked as don't care",
            remedy="look at the data set with `detsweep data check`",
        )


def _optimizer(network: DBNet, config: Config) -> torch.optim.AdamW:
    settings = config.models.optimizer
    return torch.optim.AdamW(
        network.parameters(),
        lr=settings.lr,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
    )


def _precision(config: Config) -> Any:
    wanted = config.trainer.precision
    if wanted == "auto":
        gpu_has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        wanted = "bf16" if gpu_has_bf16 else "32"
    return "bf16-mixed" if wanted == "bf16" else "32-true"


def _limit_threads() -> None:
    """Respect OMP_NUM_THREADS: several trainings may share this machine."""
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads:
        torch.set_num_threads(int(threads))


def _as_metrics(row: Mapping[str, float]) -> EpochMetrics:
    return EpochMetrics(int(row["epoch"]), {k: v for k, v in row.items() if k != "epoch"})
