"""Checkpoints on disk: a training's whole state (`last.ckpt`) and a model's weights (`best.ckpt`).

Both hold tensors and plain values only and are loaded with `weights_only=True`: a checkpoint from
elsewhere cannot run code.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from detector.config.loading import config_from_tree
from detector.config.schema import Config
from detector.errors import ConfigError, ModelError, TrainingError
from detector.model.dbnet import DBNet
from detector.storage.atomic import write_atomically


class Origin(NamedTuple):
    """Where weights come from that were not trained from scratch.

    Attributes:
        name: of the model that had them.
        digest: SHA-256 of its file.
        licence: that they are under.
        source: who trained it.
    """

    name: str
    digest: str
    licence: str
    source: str


@dataclass(frozen=True)
class ModelCheckpoint:
    """A trained model.

    Attributes:
        config: that it was trained with.
        weights: state of the `DBNet`.
        data_digest: of the manifest that it was trained on.
        fold: that was left out; None where none was.
        epoch: after which the weights were taken.
        metrics: of that epoch.
        origin: of the weights that it started from; None of those drawn at random.
    """

    config: Config
    weights: dict[str, Tensor]
    data_digest: str
    fold: int | None
    epoch: int
    metrics: dict[str, float]
    origin: Origin | None = None

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        origin = tuple(self.origin) if self.origin else None
        content = {**vars(self), "config": self.config.to_dict(), "origin": origin}
        save_tensors(path, content)

    @classmethod
    def load(cls, path: Path) -> "ModelCheckpoint":
        """Read what `save` wrote.

        Raises:
            TrainingError: the file is missing or no checkpoint of a model.
            ModelError: a weight is not finite.
        """
        content = load_tensors(path)
        try:
            origin = content.get("origin")
            config = config_from_tree(content["config"])
            taken = Origin(*origin) if origin else None
            checkpoint = cls(**{**content, "config": config, "origin": taken})
            unsound = [name for name, of in checkpoint.weights.items() if not of.isfinite().all()]
        except (KeyError, TypeError, AttributeError, ConfigError) as error:
            raise TrainingError(
                "not a checkpoint of a model",
                where=str(path),
                remedy="give the best.ckpt of a training's folder",
            ) from error
        if unsound:
            raise ModelError(
                f"{unsound[0]} holds numbers that are not finite",
                where=str(path),
                remedy="this training went wrong: take another's best.ckpt, or train it again",
            )
        return checkpoint

    def build_model(self) -> DBNet:
        """The network with these weights, ready for inference."""
        model = DBNet(self.config.models, pretrained=False)
        model.load_state_dict(self.weights)
        return model.eval()


def save_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values, atomically."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def load_tensors(path: Path) -> dict[str, Any]:
    """Read what `save_tensors` wrote, on the CPU.

    Raises:
        TrainingError: the file is missing or damaged, or holds more than tensors and plain values.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from OSError to UnpicklingError
        raise TrainingError(
            f"cannot load the checkpoint: {error}",
            where=str(path),
            remedy="delete it to begin this training again",
        ) from error
    return content
