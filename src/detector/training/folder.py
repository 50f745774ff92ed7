"""The files of one training: `config.yaml`, `metrics.jsonl`, `last.ckpt`, `best.ckpt` and
`pages.json`. Each is written whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detector.choosing.pages import PAGES, KeptEpoch
from detector.config.metrics import HISTORY
from detector.config.schema import Config
from detector.errors import TrainingError
from detector.model.checkpoint import ModelCheckpoint, Origin, load_tensors, save_tensors
from detector.model.dbnet import DBNet
from detector.storage.atomic import write_atomically
from detector.training.result import BEST, LAST


@dataclass(frozen=True)
class TrainingFolder:
    """The files of one training. Of several processes that share it, the first alone writes them.

    Attributes:
        path: a local folder of this training alone.
        config: that it trains with.
        data_digest: of the manifest of its folds.
        fold: that it leaves out; None where none is.
    """

    path: Path
    config: Config
    data_digest: str
    fold: int | None

    @property
    def best(self) -> Path:
        """The weights of the epoch that is kept."""
        return self.path / BEST

    def write_config(self) -> None:
        """Write `config.yaml`."""
        tree = yaml.safe_dump(self.config.to_dict(), sort_keys=False)
        write_atomically(self.path / "config.yaml", tree.encode())

    def write_curve(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write the metrics, a line for each finished epoch."""
        lines = "".join(json.dumps(row) + "\n" for row in history)
        write_atomically(self.path / HISTORY, lines.encode())

    def keep(
        self, network: DBNet, row: Mapping[str, float], kept: KeptEpoch, origin: Origin | None
    ) -> None:
        """Keep the weights of an epoch, with its counts on each validation page.

        Args:
            row: its metrics.
            origin: of the weights that the training started from.
        """
        ModelCheckpoint(
            config=self.config,
            weights=network.state_dict(),
            data_digest=self.data_digest,
            fold=self.fold,
            epoch=kept.epoch,
            metrics=dict(row),
            origin=origin,
        ).save(self.best)
        write_atomically(self.path / PAGES, kept.to_json().encode())

    def save(self, state: Mapping[str, Any]) -> None:
        """Save all that is needed to go on: tensors and plain values."""
        save_tensors(self.path / LAST, {**self._origin(), **state})

    def load(self) -> dict[str, Any] | None:
        """What was saved last; None before there is anything.

        Raises:
            TrainingError: it is damaged, or of another configuration or data set.
        """
        path = self.path / LAST
        if not path.exists():
            return None
        state = load_tensors(path)
        for name, digest in self._origin().items():
            if state[name] != digest:
                what = "configuration" if name == "config_digest" else "data set"
                raise TrainingError(
                    f"the checkpoint was made with another {what}",
                    where=str(path),
                    remedy="train into another folder, or delete this one to begin again",
                )
        return state

    def _origin(self) -> dict[str, str]:
        return {"config_digest": self.config.digest(), "data_digest": self.data_digest}
