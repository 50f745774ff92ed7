"""The configuration of a run: one typed tree, whose keys are those the field already uses.

Every key can be set in a preset, on the command line (`models.optimizer.lr=3e-4`) and as a
parameter of a sweep. A key that is not here, or a value out of its range, is an error.
"""

import hashlib
import json
import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Range = tuple[float, float]

SIZE_STEP = 32
"""Sides of the network's input are multiples of this, the stride of its deepest feature map."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ResizeConfig(_Section):
    """How a page is scaled before the network sees it. The text's height in pixels decides how
    well it is found, so choose the rule whose side goes with it: a receipt's width does, its
    length does not."""

    rule: Literal["longest_side", "shortest_side"] = "longest_side"
    side: Annotated[int, Field(ge=SIZE_STEP, multiple_of=SIZE_STEP)] = 1280
    max_side: PositiveInt = 4096
    """No side becomes longer than this by either rule: a bound on memory."""


class AugmentConfig(_Section):
    """Random changes of a training page. Ranges are (low, high), drawn uniformly."""

    enabled: bool = True
    scale: tuple[PositiveFloat, PositiveFloat] = (0.7, 1.4)
    aspect: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Relative change of height to width, up or down."""
    rotate_degrees: Annotated[float, Field(ge=0, le=45)] = 5.0
    quarter_turn: Fraction = 0.0
    """Probability of a turn by 90, 180 or 270 degrees besides, for pages that come sideways."""
    horizontal_flip: Fraction = 0.0
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.3
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.3
    blur: Fraction = 0.1
    """Probability of a Gaussian blur."""
    noise: Fraction = 0.1
    """Probability of Gaussian noise."""
    shadow: Fraction = 0.2
    """Probability of a soft shadow over a part of the page."""


class DataConfig(_Section):
    """The data set, and how its pages reach the network."""

    path: str = Field(default_factory=lambda: os.environ.get("DETSWEEP_DATA", "data"))
    """Folder or s3:// URL of the data set; `DETSWEEP_DATA` sets the default."""
    group_column: str | None = None
    """Column of index.csv whose pages stay together in one fold; None takes `group` or the only
    column that ends in `_group`, if there is one."""
    held_out_fraction: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    """Share of the boxes kept away from all training where the data set has no split of its own."""
    max_pixels: PositiveInt = 100_000_000
    """Larger images are refused before they are decoded."""
    resize: ResizeConfig = ResizeConfig()
    crop_size: Annotated[int, Field(ge=SIZE_STEP, multiple_of=SIZE_STEP)] = 1280
    """Side in pixels of the square that a training step sees of each page."""
    crops_per_page: PositiveInt = 1
    """Training crops taken from a page in one epoch."""
    batch_size: PositiveInt = 2
    num_workers: Annotated[int, Field(ge=0)] = 2
    augment: AugmentConfig = AugmentConfig()
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.229, 0.224, 0.225)
    """Per-channel mean and standard deviation of RGB values in 0..1 (ImageNet's by default)."""


class EncoderConfig(_Section):
    """The backbone."""

    model_name: str = "hrnet_w44"
    """Any timm model that can give feature maps (`timm.list_models`)."""
    pretrained: bool = True


class DecoderConfig(_Section):
    """The neck, which joins the backbone's feature maps."""

    inner_channels: Annotated[int, Field(ge=8, multiple_of=4)] = 256
    adaptive_scale_fusion: bool = False
    """Weigh the scales by attention, as DBNet++ does (Liao et al. 2022)."""


class PostprocessConfig(_Section):
    """How outlines are read from a probability map; see `detector.detecting.postprocess.decode`."""

    thresh: Annotated[float, Field(gt=0, lt=1)] = 0.3
    box_thresh: Annotated[float, Field(ge=0, lt=1)] = 0.5
    unclip_ratio: Annotated[float, Field(ge=0, le=5)] = 1.5
    min_size: Annotated[float, Field(ge=0)] = 3
    max_candidates: PositiveInt | None = None
    use_polygon: bool = False


class HeadConfig(_Section):
    """What becomes of the joined feature map."""

    k: PositiveFloat = 50.0
    """Steepness of the differentiable binarisation."""
    postprocess: PostprocessConfig = PostprocessConfig()


class LossConfig(_Section):
    """The weights of the loss's parts; see `detector.model.loss`."""

    prob_map_loss_weight: Annotated[float, Field(ge=0)] = 5.0
    thresh_map_loss_weight: Annotated[float, Field(ge=0)] = 10.0
    binary_map_loss_weight: Annotated[float, Field(ge=0)] = 1.0
    negative_ratio: PositiveFloat = 3.0
    """Hard negatives kept for each positive pixel."""


class TargetsConfig(_Section):
    """How the maps to train towards are drawn; see `detector.data.targets.build_targets`."""

    shrink_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.4
    thresh_min: Fraction = 0.3
    thresh_max: Fraction = 0.7
    min_text_size: Annotated[float, Field(ge=0)] = 8
    """Text lower or narrower than this many pixels (after scaling) is ignored in training."""


class OptimizerConfig(_Section):
    """AdamW."""

    lr: PositiveFloat = 4.5e-4
    weight_decay: Annotated[float, Field(ge=0)] = 6e-5
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999


class SchedulerConfig(_Section):
    """Cosine annealing (torch's CosineAnnealingLR), stepped each optimizer step, in epochs."""

    T_max: PositiveInt = 20
    eta_min: Annotated[float, Field(ge=0)] = 8e-6
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0


class ModelsConfig(_Section):
    """The network, and what is particular to training it."""

    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    head: HeadConfig = HeadConfig()
    loss: LossConfig = LossConfig()
    targets: TargetsConfig = TargetsConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    scheduler: SchedulerConfig = SchedulerConfig()

    @model_validator(mode="after")
    def _rate_falls(self) -> "ModelsConfig":
        if self.scheduler.eta_min > self.optimizer.lr:
            raise ValueError(
                f"models.scheduler.eta_min={self.scheduler.eta_min} is above "
                f"models.optimizer.lr={self.optimizer.lr}: the rate would rise"
            )
        return self


class TrainerConfig(_Section):
    """How long and how a network is trained."""

    max_epochs: PositiveInt = 20
    accumulate_grad_batches: PositiveInt = 1
    gradient_clip_val: Annotated[float, Field(ge=0)] = 5.0
    """Largest norm of the gradient; 0 turns clipping off."""
    precision: Literal["32", "bf16", "auto"] = "auto"
    """"auto" takes bf16 on a GPU that has it and 32 elsewhere."""
    channels_last: bool = True
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the exponential moving average of the weights, by step; 0 turns it off."""


class FoldsConfig(_Section):
    """Into how many folds the pages are split, and what is trained on them."""

    count: Annotated[int, Field(ge=2)] = 5
    retrain: PositiveInt | None = None
    """How many of the folds are trained for the ensemble; None trains all."""
    rescore: Annotated[int, Field(ge=0)] = 3
    """How many trainings may be spent on measuring trials that tie on another fold, before one of
    them is named; 0 names one by the sweep's own fold alone."""


class Config(_Section):
    """A whole run. `Config.digest` names it."""

    preset: str | None = None
    tracker: Literal["none", "wandb"] = "none"
    """Where trainings are tracked, beside their own files."""
    seed: Annotated[int, Field(ge=0)] = 0
    data: DataConfig = Field(default_factory=DataConfig)
    models: ModelsConfig = ModelsConfig()
    trainer: TrainerConfig = TrainerConfig()
    folds: FoldsConfig = FoldsConfig()

    def to_dict(self) -> dict[str, object]:
        """Nested plain values, as JSON and YAML hold them."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """SHA-256 of what decides a training's result: all but where the data lies, how many
        processes load it and where it is tracked."""
        tree = self.model_dump(
            mode="json",
            exclude={"preset": True, "tracker": True, "data": {"path", "num_workers"}},
        )
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
