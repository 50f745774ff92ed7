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
from detector.console import say
from detector.errors import DataError, TrainingError
from detector.model.checkpoint import ModelCheckpoint, Origin, load_tensors, save_tensors
from detector.model.dbnet import DBNet
from detector.patience import Patience
from detector.storage.atomic import is_full, link_beside, write_atomically
from detector.training.result import BEST, LAST, PREVIOUS


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
        """Save all that is needed to go on: tensors and plain values. What was saved before stays
        beside it, to go on from where this is found damaged."""
        last = self.path / LAST
        if last.exists():
            before = self.path / PREVIOUS
            Patience(f"room on the disk for {before}", is_full).ask(link_beside, last, before)
        save_tensors(last, {**self._origin(), **state})

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or before that where it is damaged; None before there is anything
        whole to go on from.

        Raises:
            TrainingError: it is of another configuration or data set.
        """
        for path in (self.path / LAST, self.path / PREVIOUS):
            if not path.exists():
                continue
            state = _whole(path)
            if state is None:
                say(f"warning: {path} is damaged: going by the one before, if there is one")
                continue
            self._refuse_another(state, path)
            if state["choice"]["kept"] and (damaged := self._damaged_of_kept()):
                say(f"warning: {damaged} is missing or damaged: this training begins again")
                return None
            return state
        return None

    def _damaged_of_kept(self) -> Path | None:
        """Of the files of the epoch that is kept, one that cannot be read."""
        if _whole(self.best) is None:
            return self.best
        pages = self.path / PAGES
        try:
            KeptEpoch.from_json(pages.read_text("utf-8"))
        except (DataError, FileNotFoundError, UnicodeDecodeError):
            return pages
        return None

    def _refuse_another(self, state: Mapping[str, Any], path: Path) -> None:
        for name, digest in self._origin().items():
            if state.get(name) != digest:
                what = "configuration" if name == "config_digest" else "data set"
                raise TrainingError(
                    f"the checkpoint was made with another {what}",
                    where=str(path),
                    remedy="train into another folder, or delete this one to begin again",
                )

    def _origin(self) -> dict[str, str]:
        return {"config_digest": self.config.digest(), "data_digest": self.data_digest}


def _whole(path: Path) -> dict[str, Any] | None:
    """What a checkpoint holds; None where it is missing, or damaged.

    Raises:
        TrainingError: the disk refuses to give it, which says nothing of the file.
    """
    if not path.exists():
        return None
    try:
        return load_tensors(path)
    except TrainingError as error:
        if isinstance(error.__cause__, OSError):
            raise
        return None
