"""The configuration of a run: one typed tree, whose keys are those the field already uses.

Every key can be set in a preset, on the command line (`models.optimizer.lr=3e-4`) and as a
parameter of a sweep. A key that is not here, or a value out of its range, is an error. The text
below a key is what `detsweep config keys` says of it.
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

PP_LCNET_V3 = "pp_lcnet_v3"
"""The backbone of PP-OCR's mobile detectors, which timm does not have."""

SIZE_STEP = 32
"""Sides of the network's input are multiples of this, the stride of its deepest feature map."""


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        use_attribute_docstrings=True,
        # Infinity passes "above 0", and NaN whatever has no bound.
        allow_inf_nan=False,
    )


class ResizeConfig(_Section):
    """How a page is scaled before the network sees it. The text's height in pixels decides how
    well it is found, so choose the rule whose side goes with it: a receipt's width does, its
    length does not."""

    rule: Literal["longest_side", "shortest_side"] = "longest_side"
    """Which side of a page is scaled to `side` pixels."""
    side: Annotated[int, Field(ge=SIZE_STEP, multiple_of=SIZE_STEP)] = 1280
    """Length in pixels that the side named by `rule` is scaled to."""
    max_side: PositiveInt = 4096
    """Nothing that the network sees at once is longer than this, by either rule: a bound on memory.
    A page whose text would be less than half as high for that is seen in parts."""


class AugmentConfig(_Section):
    """Random changes of a training page. Ranges are (low, high), drawn uniformly."""

    enabled: bool = True
    """Whether training pages are changed at all; otherwise crops are only cut."""
    scale: tuple[PositiveFloat, PositiveFloat] = (0.7, 1.4)
    """Lowest and highest factor by which a page is scaled; the factor's logarithm is uniform."""
    aspect: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Largest relative change of width to height, up or down."""
    rotate_degrees: Annotated[float, Field(ge=0, le=45)] = 5.0
    """Largest turn in degrees, either way."""
    quarter_turn: Fraction = 0.0
    """Probability of a turn by 90, 180 or 270 degrees besides, for pages that come sideways."""
    horizontal_flip: Fraction = 0.0
    """Probability of a mirrored page."""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Largest change of brightness, up or down, as a share of black to white."""
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Largest relative change of contrast, up or down."""
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
    unlabelled: str | None = None
    """Folder or s3:// URL of more pages, without labels: a training learns from what
    `models.teacher` finds on them too. Nothing is ever measured on them."""
    group_column: str | None = None
    """Column of index.csv whose pages stay together in one fold; null takes `group` or the only
    column that ends in `_group`, if there is one."""
    group_by: str | None = None
    """What groups pages in place of index.csv: `folder`, that of each image below the folder of all
    images; or a regular expression for names, as in `^(shop[0-9]+)_`."""
    format: str | None = None
    """In which format the labels are, where their files leave it open; null finds it out."""
    held_out: str | None = None
    """The part of the data set that is held out, where several may be (val and test); the others
    are trained on."""
    held_out_fraction: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    """Share of the boxes kept away from all training where the data set has no split of its own."""
    allow_duplicates: bool = False
    """Whether pages to train on may show the same picture as held-out ones."""
    max_pixels: PositiveInt = 100_000_000
    """Larger images are refused before they are decoded."""
    resize: ResizeConfig = ResizeConfig()
    crop_size: Annotated[int, Field(ge=SIZE_STEP, multiple_of=SIZE_STEP)] = 1280
    """Side in pixels of the square that a training step sees of each page."""
    crops_per_page: PositiveInt = 1
    """Training crops taken from a page in one epoch."""
    batch_size: PositiveInt = 2
    """Crops in one training step on one device."""
    num_workers: Annotated[int, Field(ge=0)] = 2
    """Processes that prepare crops beside the training; 0 prepares them in it."""
    augment: AugmentConfig = AugmentConfig()
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Mean of the red, green and blue values in 0..1 that is subtracted (ImageNet's by default)."""
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.229, 0.224, 0.225)
    """Standard deviation of the red, green and blue values in 0..1 that they are divided by
    (ImageNet's by default)."""


class EncoderConfig(_Section):
    """The backbone."""

    model_name: str = "hrnet_w44"
    """The backbone: any timm model with feature maps at strides 4, 8, 16 and 32; or pp_lcnet_v3,
    that of PP-OCR's mobile detectors, which brings their neck along."""
    pretrained: bool = True
    """Whether the backbone starts from timm's weights, which are downloaded once."""


class DecoderConfig(_Section):
    """The neck, which joins the backbone's feature maps."""

    inner_channels: Annotated[int, Field(ge=8, multiple_of=4)] = 256
    """Channels of the neck's feature maps."""
    adaptive_scale_fusion: bool = False
    """Weigh the scales by attention, as DBNet++ does (Liao et al. 2022)."""


class PostprocessConfig(_Section):
    """How outlines are read from a probability map."""

    thresh: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """A pixel whose probability is above this is text."""
    box_thresh: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Least mean probability inside an outline; those below are dropped."""
    unclip_ratio: Annotated[float, Field(ge=0, le=5)] = 1.5
    """How far outlines are expanded; 1.5 undoes a shrink ratio of 0.4."""
    min_size: Annotated[float, Field(ge=0)] = 3
    """Least shorter side in pixels of a region of the map; smaller ones are dropped."""
    max_candidates: PositiveInt | None = None
    """How many outlines a page may have, those of the best scores; null keeps all."""
    use_polygon: bool = False
    """Whether text is outlined by polygons of any number of points instead of quads."""


class HeadConfig(_Section):
    """What becomes of the joined feature map."""

    k: PositiveFloat = 50.0
    """Steepness of the differentiable binarisation."""
    postprocess: PostprocessConfig = PostprocessConfig()


class LossConfig(_Section):
    """The weights of the loss's parts."""

    prob_map_loss_weight: Annotated[float, Field(ge=0)] = 5.0
    """Weight of the balanced cross entropy of the probability map."""
    thresh_map_loss_weight: Annotated[float, Field(ge=0)] = 10.0
    """Weight of the L1 loss of the threshold map."""
    binary_map_loss_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the dice loss of the binary map."""
    negative_ratio: PositiveFloat = 3.0
    """Hardest pixels without text that count in the cross entropy, for each pixel of text."""


class TargetsConfig(_Section):
    """How the maps to train towards are drawn."""

    shrink_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """How far outlines are shrunk for the probability map: 1 not at all, smaller values more."""
    thresh_min: Fraction = 0.3
    """Value of the threshold map far from every outline."""
    thresh_max: Fraction = 0.7
    """Value of the threshold map on an outline."""
    min_text_size: Annotated[float, Field(ge=0)] = 8
    """Text lower or narrower than this many pixels (after scaling) is ignored in training."""


class OptimizerConfig(_Section):
    """AdamW."""

    lr: PositiveFloat = 4.5e-4
    """Learning rate at the beginning, after any warm-up; the highest of the training."""
    scale_parameter: bool = False
    """Whether the rate is relative: that of each tensor is multiplied by the root mean square of
    its weights at the start, as in Adafactor. Weights that were trained elsewhere need it: their
    sizes differ by powers of ten."""
    weight_decay: Annotated[float, Field(ge=0)] = 6e-5
    """Decoupled weight decay."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of the mean of the gradients."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the mean of the squared gradients."""


class SchedulerConfig(_Section):
    """Cosine annealing (torch's CosineAnnealingLR), stepped each optimizer step, in epochs."""

    T_max: PositiveInt = 20
    """Epochs until the learning rate has come down to `eta_min`; beyond them it rises again."""
    eta_min: Annotated[float, Field(ge=0)] = 8e-6
    """Learning rate at its lowest."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Epochs over which the learning rate is scaled up from zero first."""


class ModelsConfig(_Section):
    """The network, and what is particular to training it."""

    init: str | None = None
    """What the weights start from: ppocr_v4_mobile, which `detsweep[starter]` brings, an ONNX file
    of PP-OCR's mobile detectors, or a best.ckpt of a training of the same network; null draws them
    at random, the backbone's too unless it is `pretrained`."""
    teacher: str | None = None
    """The model.onnx that says where the text of `data.unlabelled` is."""
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
    """Epochs of a training that no sweep ends early."""
    accumulate_grad_batches: PositiveInt = 1
    """Batches whose gradients are added up for one step of the optimizer."""
    gradient_clip_val: Annotated[float, Field(ge=0)] = 5.0
    """Largest norm of the gradient; 0 turns clipping off."""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """What trains: an NVIDIA GPU (cuda), the GPU of a Mac (mps) or the processor (cpu); auto takes
    the first of them that is there."""
    precision: Literal["32", "bf16", "auto"] = "auto"
    """Precision of the arithmetic; auto is bf16 on an NVIDIA GPU that has it, 32 elsewhere."""
    channels_last: bool = True
    """Whether tensors are laid out in memory with their channels last."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the exponential moving average of the weights, by step; 0 turns it off."""


class FoldsConfig(_Section):
    """Into how many folds the pages are split, and what is trained on them."""

    count: Annotated[int, Field(ge=2)] = 5
    """Into how many folds the pages are split."""
    retrain: PositiveInt | None = None
    """How many of the folds are trained for the ensemble; null trains all."""
    rescore: Annotated[int, Field(ge=0)] = 3
    """How many trainings may be spent on measuring trials that tie on another fold, before one of
    them is named; 0 names one by the sweep's own fold alone."""

    @property
    def trained(self) -> list[int]:
        """The folds that are trained for the ensemble."""
        return list(range(min(self.retrain or self.count, self.count)))


class Config(_Section):
    """A whole run. `Config.digest` names it."""

    preset: str | None = None
    """The preset that the run starts from: a name of `detsweep config presets`, or a YAML file."""
    tracker: Literal["none", "wandb"] = "none"
    """Where trainings are tracked, besides their own files."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the split into folds, of the first weights and of every random change."""
    data: DataConfig = Field(default_factory=DataConfig)
    models: ModelsConfig = ModelsConfig()
    trainer: TrainerConfig = TrainerConfig()
    folds: FoldsConfig = FoldsConfig()

    @model_validator(mode="after")
    def _unlabelled_pages_have_a_teacher(self) -> "Config":
        if (self.data.unlabelled is None) != (self.models.teacher is None):
            raise ValueError(
                "data.unlabelled and models.teacher go together: pages without labels, and the "
                "model.onnx that finds their text"
            )
        return self

    def to_dict(self) -> dict[str, object]:
        """Nested plain values, as JSON and YAML hold them."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """SHA-256 of what decides a training's result: all but where the data lies, how many
        processes load it, what device trains and where it is tracked."""
        tree = self.model_dump(
            mode="json",
            exclude={
                "preset": True,
                "tracker": True,
                "data": {"path", "num_workers"},
                "trainer": {"device"},
            },
        )
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
