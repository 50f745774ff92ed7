"""What an exported model says of itself: enough to run it right and to know where it came from.

It travels inside the ONNX file: see `detector.export.model.Model`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from detector.config.loading import config_from_tree
from detector.config.schema import SIZE_STEP, DataConfig, PostprocessConfig, ResizeConfig


@dataclass(frozen=True)
class Card:
    """The card of a model.

    Attributes:
        name: what the model is: "mean of maps of fold 0, fold 1".
        detsweep: version that exported it.
        opset: of the ONNX file.
        resize, mean, std, size_step: how to prepare an RGB image: scale it by the rule, pad it at
            the right and the bottom to multiples of `size_step`, divide by 255, subtract `mean`,
            divide by `std`.
        postprocess: how to read the probability map.
        config: the whole configuration of the training.
        data_digest: of the manifest that the folds were cut from.
        scores: on the held-out pages; `low` and `high` are the 95 % interval of `hmean`.
        parity: largest difference of its probability map to its source's: the torch model's, or
            where the file has fewer bits, the float32 file's.
        revision: of detsweep's code, where it ran from a clone or in an image.
        licence: of detsweep's code; that of the data is the user's to add.
        classes: what the map is of.
        maps: how many the file draws of a page; of several, see `detector.detecting.consensus`.
        origin: of the weights that it started from: name, digest, licence and source; None of those
            that were drawn at random.
    """

    name: str
    detsweep: str
    opset: int
    resize: dict[str, Any]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    postprocess: dict[str, Any]
    config: dict[str, Any]
    data_digest: str
    scores: Mapping[str, float]
    parity: float
    size_step: int = SIZE_STEP
    revision: str | None = None
    licence: str = "Apache-2.0"
    classes: tuple[str, ...] = ("text",)
    maps: int = 1
    origin: Mapping[str, str] | None = None

    @property
    def started_from(self) -> str | None:
        """Whose weights it started from, in a line; None of those that were drawn at random."""
        if self.origin is None:
            return None
        licence = self.origin["licence"] or "no licence known"
        return (
            f"{self.origin['name']}, trained by {self.origin['source']}; {licence}; "
            f"SHA-256 {self.origin['digest']}"
        )

    def to_json(self) -> str:
        """The card as the file's metadata hold it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is not a card, or one of another version.
        """
        tree = json.loads(text)
        # JSON has lists where a card has tuples.
        tuples = {name: tuple(tree[name]) for name in ("mean", "std", "classes")}
        card = cls(**{**tree, **tuples})
        # What is used later is looked at now: an error then would not name the file.
        DataConfig(mean=card.mean, std=card.std)
        card.resize_rule(), card.postprocess_settings(), card.max_pixels()
        return card

    def resize_rule(self) -> ResizeConfig:
        """How a page is scaled for the model."""
        return ResizeConfig.model_validate(self.resize)

    def max_pixels(self) -> int:
        """Larger images are refused, as they were in training."""
        return config_from_tree(self.config).data.max_pixels

    def postprocess_settings(self) -> PostprocessConfig:
        """How outlines are read from the model's map."""
        return PostprocessConfig.model_validate(self.postprocess)
